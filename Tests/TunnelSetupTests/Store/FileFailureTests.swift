import Glibc
import Testing

@testable import TunnelSetup

@Suite struct FileFailureTests {
    static let meanings: [(number: CInt, code: StoreError.Code, text: String, remedy: String)] = [
        (EACCES, .denied, "permission denied", "give it the folder: chown -R \(geteuid()):\(getegid()) /data"),
        (EPERM, .denied, "operation not permitted", "chown -R"),
        (EROFS, .notWritable, "read-only file system", "mount"),
        (ENOSPC, .notWritable, "no space left on device", "free space"),
        (EDQUOT, .notWritable, "disk quota exceeded", "free space"),
        (EFBIG, .notWritable, "file too large", "ulimit -f"),
        (EIO, .unavailable, "input/output error", "kernel's log"),
        (ENOTDIR, .notFound, "not a directory", "name a folder"),
        (ELOOP, .notFound, "too many levels of symbolic links", "name a folder"),
        (ENOENT, .notFound, "no such file or directory", "make the folder"),
        (ENOTEMPTY, .malformed, "directory not empty", "move that away"),
        (ENOLCK, .notWritable, "no locks available", "has locks"),
        (EMFILE, .unavailable, "too many open files", "ulimit -n"),
        (ESTALE, .unavailable, "stale file handle", "kernel's log"),
    ]

    @Test(arguments: meanings.indices) func everyErrorHasItsCodePathAndRemedy(_ index: Int) {
        let (number, code, text, remedy) = Self.meanings[index]
        let error = StoreError(FileFailure(.write, "/data/tls.key", .system(number)), in: "/data")
        #expect(error.code == code)
        #expect(error.reason == "write /data/tls.key: \(text)")
        #expect(error.remedy.contains(remedy))
        #expect(error.description == "\(error.reason) (\(error.remedy))")
    }

    @Test func aFolderThatCannotBeMadeIsToBeMadeByTheOperator() {
        let error = StoreError(FileFailure(.makeFolder, "/srv/data", .system(EACCES)), in: "/srv/data")
        #expect(error.reason == "make folder /srv/data: permission denied")
        #expect(error.remedy.contains(": mkdir /srv/data && chown -R \(geteuid()):\(getegid()) /srv/data"))
    }
}
