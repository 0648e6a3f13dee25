internal import Glibc

/// Whose folder a store is to be: what an operator says where the folder alone does not tell.
///
/// In a folder that others can write, and in one that another user may have made before us in a place like `/tmp`, somebody
/// else decides which key is ours and which domain. Such a folder is used only for a caller who names its owner, and so
/// has looked at it.
public struct FolderOwner: Sendable, Hashable, CustomStringConvertible {
    public let userID: UInt32

    public init(userID: UInt32) { self.userID = userID }

    /// Reads a user's number, or looks up a name in the system's users.
    ///
    /// - Returns: `nil` if there is no such user. Any number is one.
    public init?(_ text: String) {
        if let number = UInt32(text), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            // The kernel takes it for "no change".
            guard number != .max else { return nil }
            self.init(userID: number)
            return
        }
        guard !text.isEmpty, !text.utf8.contains(0) else { return nil }
        var (entry, found) = (passwd(), nil as UnsafeMutablePointer<passwd>?)
        var room = [CChar](repeating: 0, count: 16 * 1024)
        guard getpwnam_r(text, &entry, &room, room.count, &found) == 0, found != nil else { return nil }
        self.init(userID: entry.pw_uid)
    }

    public var description: String { "\(userID)" }
}

/// Whether a folder may be written, and as whom.
struct FolderAccess {
    let folder: OpenFolder
    /// Who was named.
    let owner: FolderOwner?

    /// - Returns: the folder, in which everything is done as whoever is to do it.
    /// - Throws: ``StoreError`` `.denied`, with what to do about it.
    func check() throws(StoreError) -> OpenFolder {
        let path = folder.path
        let status = try StoreError.report(path) { () throws(FileFailure) in try folder.status() }
        guard owner == nil else { return try checkOwner(status) }
        try checkLink(status)
        guard !status.isWritableByOthers else {
            throw StoreError(
                .denied, "others can write \(path), and could put keys of theirs there",
                remedy: "take that away (chmod go-w \(path)); or, if all of them may, name the folder's owner: "
                    + "--output-owner=\(status.owner.user)")
        }
        let isOurs = status.owner.user == geteuid()
        let isSafe = isOurs ? true : try isPlaceSafe()
        guard isSafe else {
            throw StoreError(
                .denied,
                "\(path) belongs to user \(status.owner.user), who may have made it before you did: others can make "
                    + "names where it lies",
                remedy: "if that is the right folder, name its owner: --output-owner=\(status.owner.user)")
        }
        return folder.working(for: status.owner)
    }

    /// Whether the folder is that of whoever was named. All that a reader is refused for.
    func checkOwner(_ status: FileStatus) throws(StoreError) -> OpenFolder {
        if let owner, status.owner.user != owner.userID {
            throw StoreError(
                .denied, "\(folder.path) belongs to user \(status.owner.user), not to \(owner)",
                remedy: "give it to that user (chown \(owner) \(folder.path)), or name the right one")
        }
        return folder.working(for: status.owner)
    }

    /// Only we and root can have made the folder, or have given it to whom it belongs to.
    private func isPlaceSafe() throws(StoreError) -> Bool {
        let place = try StoreError.report(folder.path) { () throws(FileFailure) in
            try folder.parent().status()
        }
        return [0, geteuid()].contains(place.owner.user) && !place.isWritableByOthers
    }

    /// What leads to the folder must not be somebody else's link.
    private func checkLink(_ folderStatus: FileStatus) throws(StoreError) {
        var name = folder.path[...]
        while name.count > 1, name.hasSuffix("/") { name.removeLast() }
        let found = try StoreError.report(folder.path) { () throws(FileFailure) in
            try FileStatus(ofName: String(name), FileOperations())
        }
        if found.isSymbolicLink {
            guard ![0, geteuid()].contains(found.owner.user) else { return }
            throw StoreError(
                .denied, "\(name) is a symbolic link that user \(found.owner.user) made",
                remedy: "name the folder that it leads to, if that is the right one")
        }
        // It was a link a moment ago.
        guard found.identity == folderStatus.identity else {
            throw StoreError(
                .denied, "\(name) came to mean another folder while it was opened", remedy: "see who changes it")
        }
    }
}
