internal import Glibc

/// The lock that keeps two runs from changing a folder at the same time: `flock` on a file that is never removed, because
/// a lock on a file without a name is one that nobody else meets. The kernel releases it when the process ends, however
/// that happens.
struct DirectoryLock: Sendable {
    static let name = ".setup.lock"
    /// Holds the lock for as long as it is open.
    private let file: OpenFile

    /// - Throws: ``FileFailure`` `.held` at once if another run has the lock.
    init(_ folder: OpenFolder) throws(FileFailure) {
        file = try DirectoryLock.open(folder)
        let status = try file.status()
        guard status.isRegularFile else { throw FileFailure(.open, file.path, .notAFile(status.kind)) }
        // It is emptied and written, so it must be nothing else as well.
        try folder.checkIsOurs(status, file.path)
        guard status.names == 1 else { throw FileFailure(.open, file.path, .secondName) }
        do throws(FileFailure) { try file.lock() } catch {
            guard error.reason == .system(EWOULDBLOCK) else { throw error }
            throw FileFailure(.lock, folder.path, .held(by: DirectoryLock.process(in: file)))
        }
        // Only for the error text of others: a full disk is no reason to give up here.
        try? file.truncate()
        try? file.write(Array("\(getpid())\n".utf8))
    }

    private static func open(_ folder: OpenFolder) throws(FileFailure) -> OpenFile {
        // Opening a named pipe must not wait, nor a device do anything.
        let flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
        do throws(FileFailure) { return try folder.openFile(DirectoryLock.name, flags, mode: 0o600) } catch {
            guard [.system(EISDIR), .system(ELOOP), .system(ENXIO)].contains(error.reason),
                let there = try folder.status(of: DirectoryLock.name, followingLinks: false), !there.isRegularFile
            else { throw error }
            throw FileFailure(.open, error.path, .notAFile(there.kind))
        }
    }

    private static func process(in file: OpenFile) -> Int32? {
        guard let bytes = try? file.read(limit: 16) else { return nil }
        return Int32(String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self))
    }
}
