internal import Glibc

/// The lock that keeps two runs from changing a folder at the same time: `flock` on a file that is never removed, because
/// a lock on a file without a name is one that nobody else meets. The kernel releases it when the process ends, however
/// that happens.
struct DirectoryLock: Sendable {
    static let name = ".setup.lock"
    /// Holds the lock for as long as it is open.
    private let file: OpenFile

    /// - Throws: ``FileFailure`` `.held` at once if another run has the lock.
    init(_ folder: OpenFolder, owner: FileOwner?) throws(FileFailure) {
        file = try folder.openFile(DirectoryLock.name, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        // Or the next run, as the folder's owner, could not open it.
        if let owner { try file.setOwner(owner) }
        do throws(FileFailure) { try file.lock() } catch {
            guard error.reason == .system(EWOULDBLOCK) else { throw error }
            throw FileFailure(.lock, folder.path, .held(by: DirectoryLock.process(in: file)))
        }
        // Only for the error text of others: a full disk is no reason to give up here.
        try? file.truncate()
        try? file.write(Array("\(getpid())\n".utf8))
    }

    private static func process(in file: OpenFile) -> Int32? {
        guard let bytes = try? file.read(limit: 16) else { return nil }
        return Int32(String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self))
    }
}
