internal import Glibc

/// An open folder. Names are looked up in it and nowhere else, even if its path comes to mean another folder.
struct OpenFolder: Sendable {
    let path: String
    private let descriptor: FileDescriptor
    private let operations: FileOperations

    private init(_ descriptor: FileDescriptor, path: String, _ operations: FileOperations) {
        (self.descriptor, self.path, self.operations) = (descriptor, path, operations)
    }

    /// Opens a folder that is there.
    static func open(_ path: String, _ operations: FileOperations) throws(FileFailure) -> OpenFolder {
        let raw = try operations(.open, path) { Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        return OpenFolder(FileDescriptor(raw), path: path, operations)
    }

    /// Opens the folder, after making it (mode 0700) if it is not there. The one that it lies in must be there.
    static func openOrMake(_ path: String, _ operations: FileOperations) throws(FileFailure) -> OpenFolder {
        do throws(FileFailure) { return try open(path, operations) } catch {
            guard error.reason == .system(ENOENT) else { throw error }
        }
        do throws(FileFailure) { try operations(.makeFolder, path) { mkdir(path, 0o700) } } catch {
            // Another run has just made it.
            guard error.reason == .system(EEXIST) else { throw error }
        }
        let folder = try open(path, operations)
        try open("\(path)/..", operations).sync()
        return folder
    }

    func path(of name: String) -> String { path.hasSuffix("/") ? "\(path)\(name)" : "\(path)/\(name)" }

    func status() throws(FileFailure) -> FileStatus {
        var status = stat()
        try operations(.status, path) { descriptor.use { fstat($0, &status) } }
        return FileStatus(status)
    }

    /// - Returns: `nil` if there is no such name.
    func status(of name: String, followingLinks: Bool = true) throws(FileFailure) -> FileStatus? {
        var status = stat()
        let flags = followingLinks ? 0 : AT_SYMLINK_NOFOLLOW
        do throws(FileFailure) {
            try operations(.status, path(of: name)) { descriptor.use { fstatat($0, name, &status, flags) } }
        } catch {
            guard error.reason == .system(ENOENT) else { throw error }
            return nil
        }
        return FileStatus(status)
    }

    func openFile(_ name: String, _ flags: CInt, mode: mode_t = 0) throws(FileFailure) -> OpenFile {
        let path = path(of: name)
        let raw = try operations(.open, path) { descriptor.use { openat($0, name, flags | O_CLOEXEC, mode) } }
        return OpenFile(FileDescriptor(raw), path: path, operations)
    }

    /// - Returns: `nil` if there is no such name.
    func openFolder(_ name: String) throws(FileFailure) -> OpenFolder? {
        let path = path(of: name)
        do throws(FileFailure) {
            let raw = try operations(.open, path) {
                descriptor.use { openat($0, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0) }
            }
            return OpenFolder(FileDescriptor(raw), path: path, operations)
        } catch {
            guard error.reason == .system(ENOENT) else { throw error }
            return nil
        }
    }

    /// Makes a folder (mode 0700) that is not there yet.
    func makeFolder(_ name: String) throws(FileFailure) -> OpenFolder {
        let path = path(of: name)
        try operations(.makeFolder, path) { descriptor.use { mkdirat($0, name, 0o700) } }
        guard let folder = try openFolder(name) else { throw FileFailure(.open, path, .system(ENOENT)) }
        return folder
    }

    func setOwner(_ owner: FileOwner) throws(FileFailure) {
        try operations(.setOwner, path) { descriptor.use { fchown($0, owner.user, owner.group) } }
    }

    /// Moves a file or a folder out of `source`, over one that has the new name here.
    ///
    /// - Returns: `false` if there is no such name in `source`.
    @discardableResult
    func take(_ name: String, from source: OpenFolder, as newName: String) throws(FileFailure) -> Bool {
        do throws(FileFailure) {
            try operations(.rename, path(of: newName)) {
                descriptor.use { here in source.descriptor.use { renameat($0, name, here, newName) } }
            }
        } catch {
            guard error.reason == .system(ENOENT) else { throw error }
            return false
        }
        return true
    }

    /// Removes a file. It is no error if there is none.
    func remove(_ name: String) throws(FileFailure) { try remove(name, flags: 0) }

    /// Removes an empty folder. It is no error if there is none.
    func removeFolder(_ name: String) throws(FileFailure) { try remove(name, flags: AT_REMOVEDIR) }

    private func remove(_ name: String, flags: CInt) throws(FileFailure) {
        do throws(FileFailure) {
            try operations(.remove, path(of: name)) { descriptor.use { unlinkat($0, name, flags) } }
        } catch {
            guard error.reason == .system(ENOENT) else { throw error }
        }
    }

    /// Waits until the names in the folder are on the disk.
    func sync() throws(FileFailure) {
        try operations(.sync, path) { descriptor.use { fsync($0) } }
    }
}
