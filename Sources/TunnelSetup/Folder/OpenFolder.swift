internal import CLinux
internal import Glibc

/// An open folder. Names are looked up in it and nowhere else, even if its path comes to mean another folder.
struct OpenFolder: Sendable {
    let path: String
    private let descriptor: FileDescriptor
    private let operations: FileOperations

    /// Whose folder it is, once that was looked at.
    private let owner: FileOwner?

    private init(
        _ descriptor: FileDescriptor, path: String, _ operations: FileOperations, owner: FileOwner? = nil
    ) {
        (self.descriptor, self.path, self.operations, self.owner) = (descriptor, path, operations, owner)
    }

    /// The same folder, in which root does everything as the folder's owner.
    func working(for owner: FileOwner) -> OpenFolder {
        var operations = operations
        operations.user = geteuid() == 0 && owner.user != 0 ? FileUser(owner: owner) : nil
        return OpenFolder(descriptor, path: path, operations, owner: owner)
    }

    /// - Throws: ``FileFailure`` `.strangers` for a file or folder that somebody else made.
    func checkIsOurs(_ status: FileStatus, _ path: String) throws(FileFailure) {
        // Root could have made it in anybody's name.
        let makers = [0, geteuid(), owner?.user]
        guard makers.contains(status.owner.user) else {
            throw FileFailure(.open, path, .strangers(user: status.owner.user))
        }
    }

    /// Opens a folder that is there.
    static func open(_ path: String, _ operations: FileOperations) throws(FileFailure) -> OpenFolder {
        let raw = try operations(.open, path) { Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        return OpenFolder(FileDescriptor(raw), path: path, operations)
    }

    /// The folder that this one lies in.
    func parent() throws(FileFailure) -> OpenFolder {
        let path = "\(path)/.."
        let raw = try operations(.open, path) {
            descriptor.use { openat($0, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) }
        }
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
        try openFile(name, flags, mode: mode, called: path(of: name))
    }

    private func openFile(
        _ name: String, _ flags: CInt, mode: mode_t = 0, called path: String
    ) throws(FileFailure) -> OpenFile {
        let raw = try operations(.open, path) { descriptor.use { openat($0, name, flags | O_CLOEXEC, mode) } }
        return OpenFile(FileDescriptor(raw), path: path, operations)
    }

    /// Opens a file to read it, also by a symbolic link if that is ours: an operator may keep the CA's key on a medium of
    /// its own. A link of somebody else's would have us read what he chose.
    func openValue(_ name: String) throws(FileFailure) -> OpenFile {
        // Opening a named pipe must not wait for somebody who writes.
        let flags = O_RDONLY | O_NONBLOCK
        do throws(FileFailure) { return try openFile(name, flags | O_NOFOLLOW) } catch {
            guard error.reason == .system(ELOOP) else { throw error }
        }
        // The link itself is held open, so that it is the same one that is looked at and followed.
        let link = try openFile(name, CLinux_O_PATH() | O_NOFOLLOW)
        try checkIsOurs(try link.status(), link.path)
        return try openFile(try link.target(), flags, called: link.path)
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
