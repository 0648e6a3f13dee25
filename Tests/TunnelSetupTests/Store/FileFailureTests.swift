import Glibc
import Testing

@testable import TunnelSetup

@Suite struct FileFailureTests {
    static let meanings: [(number: CInt, code: StoreError.Code, text: String, remedy: String)] = [
        (EACCES, .denied, "permission denied", "chown -R \(geteuid()):\(getegid()) FOLDER"),
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
        let error = StoreError(FileFailure(.write, "/data/tls.key", .system(number)))
        #expect(error.code == code)
        #expect(error.reason == "write /data/tls.key: \(text)")
        #expect(error.remedy.contains(remedy))
        #expect(error.description == "\(error.reason) (\(error.remedy))")
    }
}
