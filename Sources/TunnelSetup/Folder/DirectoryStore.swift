internal import Glibc
internal import Synchronization

/// Credentials as files of a folder: `--output dir:/data`.
///
/// Keys, token and unfinished work have mode 0600 and the others 0644, whatever the umask is and whatever mode the file had
/// that is replaced. In a folder of somebody else root does everything as the folder's owner (`FileUser`), so that the
/// containers which read the files do not have to run as root. Symbolic links are followed when a value is read, if they
/// are ours or root's, and replaced by a file when it is written.
///
/// A set of changes is one change to whoever reads with this type, at all times and after any crash
/// (`DirectoryJournal`); other programs see the files renamed one after another, certificate and key last.
///
/// The methods block the calling thread for the milliseconds that a handful of small files takes: this is made for a
/// program that has nothing else to do meanwhile.
public final class DirectoryStore: CredentialStore, Sendable {
    @nonexhaustive
    public enum Purpose: Sendable {
        /// Takes no lock and writes nothing. A folder that is not there is an empty one.
        case reading
        /// Makes the folder if it is not there, though not the one it lies in, takes the lock, and finishes what an
        /// earlier run has left.
        case writing
    }

    public let path: String
    public var location: String { "dir:\(path)" }
    public var isExclusive: Bool { writer != nil }

    private struct Writer: Sendable {
        let folder: OpenFolder
        let lock: DirectoryLock
        let journal: DirectoryJournal
    }
    /// `nil` when opened for reading.
    private let writer: Writer?
    private let owner: FolderOwner?
    private let operations: FileOperations
    /// One write at a time within this process.
    private let turn = Mutex(())

    private init(_ path: String, _ writer: Writer?, _ owner: FolderOwner?, _ operations: FileOperations) {
        (self.path, self.writer, self.owner, self.operations) = (path, writer, owner, operations)
    }

    /// Opens a folder. When opened for writing it is held until the store is released.
    ///
    /// - Parameter owner: whose folder it must be, which is looked at each time it is read too. Without one, a folder is
    ///   not written that somebody else may have made in the place of ours, or that others can write (``FolderOwner``).
    /// - Throws: ``StoreError`` `.busy` at once if another run holds it, and others that name the file.
    public static func open(
        path: String, for purpose: Purpose, ownedBy owner: FolderOwner? = nil
    ) throws(StoreError) -> DirectoryStore {
        try open(path: path, for: purpose, ownedBy: owner, FileOperations())
    }

    static func open(
        path: String, for purpose: Purpose, ownedBy owner: FolderOwner? = nil, _ operations: FileOperations
    ) throws(StoreError) -> DirectoryStore {
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw StoreError(.notFound, "the name of the folder is empty or holds a NUL", remedy: "name a folder")
        }
        guard purpose == .writing else { return DirectoryStore(path, nil, owner, operations) }
        let found = try StoreError.report(path) { () throws(FileFailure) in
            // A folder that is to be another user's is for that user to make.
            let isOurs = owner.map { $0.userID == geteuid() } ?? true
            return try isOurs ? OpenFolder.openOrMake(path, operations) : OpenFolder.open(path, operations)
        }
        let folder = try FolderAccess(folder: found, owner: owner).check()
        let writer = try StoreError.report(path) { () throws(FileFailure) in
            let lock = try DirectoryLock(folder)
            let journal = DirectoryJournal(folder: folder)
            try journal.discardUnfinished()
            try journal.finish()
            return Writer(folder: folder, lock: lock, journal: journal)
        }
        return DirectoryStore(path, writer, owner, operations)
    }

    /// Why a folder could not be opened and read, looked for without a lock and without a change. What another run does in
    /// this moment is no reason.
    package static func obstacle(
        path: String, for purpose: Purpose, ownedBy owner: FolderOwner?
    ) -> StoreError? {
        let operations = FileOperations()
        let store = DirectoryStore(path, nil, owner, operations)
        do throws(StoreError) {
            guard let folder = try store.existingFolder() else { return nil }
            if purpose == .writing { _ = try FolderAccess(folder: folder, owner: owner).check() }
            _ = try store.snapshot(of: folder)
            return nil
        } catch { return error.code == .busy ? nil : error }
    }

    public func load() async throws(StoreError) -> StoreContents { try contents() }

    /// The same where nothing can be awaited.
    package func contents() throws(StoreError) -> StoreContents {
        if let writer { return try snapshot(of: writer.folder) }
        guard let folder = try existingFolder() else { return StoreContents() }
        return try snapshot(of: folder)
    }

    /// - Throws: ``StoreError``. When it says that nothing was changed, the old values are there. Otherwise the new ones
    ///   are, complete, and the next write or the next run does what is missing to put them in their places.
    public func write(_ changes: StoreChanges, over contents: StoreContents) async throws(StoreError) -> StoreContents {
        guard let writer else {
            throw StoreError(.notWritable, "\(path) was opened for reading", remedy: "open it for writing")
        }
        try changes.checkSizes()
        return try turn.withLock { _ throws(StoreError) in
            // An earlier write of this store may have failed half-way.
            try StoreError.report(path) { () throws(FileFailure) in try writer.journal.finish() }
            let present = try snapshot(of: writer.folder)
            try present.checkIsSame(as: contents)
            guard !changes.isEmpty else { return present }
            try StoreError.report(path, "; nothing was changed") { () throws(FileFailure) in
                try writer.journal.commit(changes)
            }
            try StoreError.report(path, "; the new values are complete in \(DirectoryJournal.name) there") {
                () throws(FileFailure) in
                try writer.journal.finish()
            }
            return present.applying(changes, revision: "")
        }
    }

    private func existingFolder() throws(StoreError) -> OpenFolder? {
        let found: (folder: OpenFolder, status: FileStatus)? = try StoreError.report(path) { () throws(FileFailure) in
            do throws(FileFailure) {
                let folder = try OpenFolder.open(path, operations)
                return (folder, try folder.status())
            } catch {
                guard error.reason == .system(ENOENT) else { throw error }
                return nil
            }
        }
        guard let found else { return nil }
        return try FolderAccess(folder: found.folder, owner: owner).checkOwner(found.status)
    }

    private func snapshot(of folder: OpenFolder) throws(StoreError) -> StoreContents {
        let contents = try StoreError.report(path) { () throws(FileFailure) in
            try DirectorySnapshot(folder: folder).read()
        }
        guard let contents else {
            throw StoreError(
                .busy, "\(path) does not stop changing while it is read", remedy: "see who writes there, then try again"
            )
        }
        return contents
    }
}
