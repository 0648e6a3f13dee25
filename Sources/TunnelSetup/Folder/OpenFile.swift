internal import Glibc

/// An open descriptor, closed when the last one lets go of it.
final class FileDescriptor: Sendable {
    private let raw: CInt

    init(_ raw: CInt) { self.raw = raw }

    /// Lends the number; it stays open while `body` runs.
    func use<Result>(_ body: (CInt) -> Result) -> Result { withExtendedLifetime(self) { body(raw) } }

    deinit {
        // A child that another thread is just starting has a copy until its exec(2), and a lock lasts as long as any copy
        // unless it is let go.
        flock(raw, LOCK_UN)
        // EINTR closes too on Linux; a second attempt could close a descriptor that somebody else has opened meanwhile.
        close(raw)
    }
}

/// One open file in an ``OpenFolder``.
struct OpenFile: Sendable {
    let path: String
    private let descriptor: FileDescriptor
    private let operations: FileOperations

    init(_ descriptor: FileDescriptor, path: String, _ operations: FileOperations) {
        (self.descriptor, self.path, self.operations) = (descriptor, path, operations)
    }

    func status() throws(FileFailure) -> FileStatus {
        var status = stat()
        try operations(.status, path) { descriptor.use { fstat($0, &status) } }
        return FileStatus(status)
    }

    /// - Returns: all of it, or `limit` + 1 bytes of a file that is longer.
    func read(limit: Int) throws(FileFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while bytes.count <= limit {
            let wanted = min(chunk.count, limit + 1 - bytes.count)
            let count = try operations(.read, path) { descriptor.use { Glibc.read($0, &chunk, wanted) } }
            if count == 0 { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return bytes
    }

    /// What a symbolic link says, if this is one.
    func target() throws(FileFailure) -> String {
        var target = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = try operations(.readLink, path) {
            descriptor.use { readlinkat($0, "", &target, target.count - 1) }
        }
        return String(decoding: target.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func write(_ bytes: [UInt8]) throws(FileFailure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = rest.prefix(operations.maxWriteBytes)
            let count = try operations(.write, path) {
                part.withUnsafeBytes { buffer in
                    descriptor.use { Glibc.write($0, buffer.baseAddress, buffer.count) }
                }
            }
            rest = rest.dropFirst(count)
        }
    }

    func setMode(_ mode: mode_t) throws(FileFailure) {
        try operations(.setMode, path) { descriptor.use { fchmod($0, mode) } }
    }

    func truncate() throws(FileFailure) {
        try operations(.write, path) { descriptor.use { ftruncate($0, 0) } }
    }

    func sync() throws(FileFailure) {
        try operations(.sync, path) { descriptor.use { fsync($0) } }
    }

    /// Takes the advisory lock, or fails with `EWOULDBLOCK`. It is released with the descriptor.
    func lock() throws(FileFailure) {
        try operations(.lock, path) { descriptor.use { flock($0, LOCK_EX | LOCK_NB) } }
    }
}

/// What of a file's status is of interest here.
struct FileStatus: Sendable {
    /// Which file it is, whatever its name. No other file has the same while this one is open or has a name.
    struct Identity: Equatable, Sendable {
        let device: dev_t
        let number: ino_t
    }

    let identity: Identity
    let owner: FileOwner
    let mode: mode_t
    /// How many names it has.
    let names: UInt64

    /// Of what the path itself is, a symbolic link also.
    init(ofName path: String, _ operations: FileOperations) throws(FileFailure) {
        var status = stat()
        try operations(.status, path) { lstat(path, &status) }
        self.init(status)
    }

    init(_ status: stat) {
        identity = Identity(device: status.st_dev, number: status.st_ino)
        owner = FileOwner(user: status.st_uid, group: status.st_gid)
        mode = status.st_mode
        names = UInt64(status.st_nlink)
    }

    var isRegularFile: Bool { mode & S_IFMT == S_IFREG }
    /// Whether others than the owner can make and remove names in it, if it is a folder.
    var isWritableByOthers: Bool { mode & (S_IWGRP | S_IWOTH) != 0 }
    var isSymbolicLink: Bool { mode & S_IFMT == S_IFLNK }

    /// In words, for an error message.
    var kind: String {
        switch mode & S_IFMT {
        case S_IFREG: "a file"
        case S_IFDIR: "a folder"
        case S_IFLNK: "a symbolic link"
        case S_IFIFO: "a named pipe"
        case S_IFSOCK: "a socket"
        default: "a device"
        }
    }
}
