internal import CLinux
internal import Glibc

/// The file of a Unix socket that we bound: its path, and which file that led to.
///
/// The folder may be one that others write to as well. So nothing is removed, and nobody let in, by the path alone:
/// somebody may have removed our file and bound another there, a second server or an operator who made room.
package struct SocketFile: Sendable {
    /// Who may connect.
    package struct Access: Sendable, Equatable {
        /// Permission bits, as chmod(1) has them. To connect takes the right to write.
        package var mode: UInt32
        /// The number of the group that the file is given to; `nil` for the one that the process makes files with.
        package var group: UInt32?

        package init(mode: UInt32 = 0o660, group: UInt32? = nil) { (self.mode, self.group) = (mode, group) }
    }

    private struct Identity: Equatable {
        let device: UInt, inode: UInt

        init(_ status: stat) { (device, inode) = (UInt(status.st_dev), UInt(status.st_ino)) }
    }

    private let path: String
    private let identity: Identity

    /// Takes note of the file that was just bound at `path`.
    init(bound path: String) throws(IOError) {
        guard let status = SocketFile.look(path) else { throw .fromErrno("stat") }
        guard SocketFile.isOurs(status) else {
            throw IOError(.system(EADDRINUSE), "bind", detail: "somebody else has changed \(path) meanwhile")
        }
        (self.path, identity) = (path, Identity(status))
    }

    /// Lets others connect.
    func allow(_ access: Access) throws(IOError) {
        // The path is followed once: what is changed is the file that was bound, whatever stands there by now.
        let descriptor = open(path, CLinux_O_PATH() | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw .fromErrno("open") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .fromErrno("stat") }
        guard Identity(status) == identity else {
            throw IOError(.system(EADDRINUSE), "bind", detail: "somebody else has changed \(path) meanwhile")
        }
        if let group = access.group, group != status.st_gid, CLinux_set_group(descriptor, group) != 0 {
            // EINVAL: a user namespace, such as PrivateUsers= makes, that has no such group.
            let remedy = "the user of the process must be a member of group \(group), also in its user namespace"
            throw IOError(.system(errno), "chown", detail: remedy)
        }
        // fchmod(2) takes no descriptor of O_PATH, and by the path it would follow a link.
        if chmod("/proc/self/fd/\(descriptor)", access.mode) != 0 { throw .fromErrno("chmod") }
    }

    /// Removes the file, if it is still the one that was bound.
    func remove() {
        guard let status = SocketFile.look(path), SocketFile.isOurs(status), Identity(status) == identity else {
            return
        }
        unlink(path)
    }

    /// Removes what a server of this user that was killed has left at `path`. Whatever else is there stays.
    ///
    /// - Throws: `EADDRINUSE` with a `detail` for what stays.
    static func makeRoom(at path: String) throws(IOError) {
        guard let status = look(path) else { return }
        func refusal(_ words: String) -> IOError { IOError(.system(EADDRINUSE), "bind", detail: words) }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw refusal("\(path) is there and not a socket; remove it, or name another path")
        }
        guard isOurs(status) else {
            throw refusal("\(path) is a socket of user \(status.st_uid); remove it, or name another path")
        }
        let probe = CLinux_socket(AF_UNIX)
        guard probe >= 0 else { throw .fromErrno("socket") }
        defer { close(probe) }
        let isRefused =
            SocketAddress.unix(path: path).withSockaddr { Glibc.connect(probe, $0, $1) != 0 && errno == ECONNREFUSED }
        guard isRefused == true else { throw refusal("another process listens on \(path)") }
        // Another one may have come to the same conclusion, and have bound its own since.
        guard let now = look(path), Identity(now) == Identity(status) else {
            throw refusal("somebody else has changed \(path) meanwhile")
        }
        unlink(path)
    }

    private static func look(_ path: String) -> stat? {
        var status = stat()
        return lstat(path, &status) == 0 ? status : nil
    }

    /// Whether it is a socket of the user that this process acts as.
    private static func isOurs(_ status: stat) -> Bool {
        status.st_mode & S_IFMT == S_IFSOCK && status.st_uid == geteuid()
    }
}

/// A group of this system, by its name or number.
package enum SystemGroup {
    /// The number of a group; `nil` when the system knows no group of that name. Blocks while it looks.
    package static func number(of name: String) -> UInt32? {
        if let number = UInt32(name), number < .max { return number }
        var (entry, found) = (group(), UnsafeMutablePointer<group>?.none)
        // Members are written there too, and may be many.
        for size in [4096, 65_536, 1 << 20] {
            var room = [CChar](repeating: 0, count: size)
            let result = getgrnam_r(name, &entry, &room, size, &found)
            if result == 0 { return found == nil ? nil : entry.gr_gid }
            if result != ERANGE { return nil }
        }
        return nil
    }
}
