internal import Glibc

/// Makes changes to several files of a folder one change, by plain files and renames:
///
/// 1. Every new value is written to `.setup-journal.tmp/NAME`, every removal as an empty `.setup-journal.tmp/NAME.removed`.
/// 2. All of it is synced, and the folder renamed to `.setup-journal`: the moment at which the change is made.
/// 3. Each value is renamed to its place, what shall go is removed, and the journal too.
///
/// What a crash leaves after step 2 is finished by the next run, and readers see the journal's values before those in the
/// folder. What it leaves before is thrown away.
struct DirectoryJournal {
    static let name = ".setup-journal"
    static let unfinishedName = ".setup-journal.tmp"
    /// The proxy looks at certificate and key every few seconds, and keeps the old pair while the two do not match:
    /// the shorter that is, the better.
    private static let order = StoreKey.allCases.filter { !pair.contains($0) } + pair
    private static let pair: [StoreKey] = [.serverKey, .serverCertificate]

    let folder: OpenFolder

    /// Steps 1 and 2. A failure leaves the folder's values as they are.
    func commit(_ changes: StoreChanges) throws(FileFailure) {
        try discardUnfinished()
        do throws(FileFailure) {
            let journal = try folder.makeFolder(DirectoryJournal.unfinishedName)
            for key in changes.keys {
                if let value = changes.values[key] ?? nil {
                    try write(value, to: key.rawValue, in: journal, mode: key.isSecret ? 0o600 : 0o644)
                } else {
                    try write([], to: DirectoryJournal.removal(of: key), in: journal, mode: 0o600)
                }
            }
            try journal.sync()
            try folder.take(DirectoryJournal.unfinishedName, from: folder, as: DirectoryJournal.name)
        } catch {
            // The next run does it if this fails too.
            try? discardUnfinished()
            throw error
        }
    }

    /// Step 3, if there is a journal.
    func finish() throws(FileFailure) {
        guard let journal = try DirectoryJournal.committed(in: folder) else { return }
        // The journal must be on the disk before the first value is in its place.
        try folder.sync()
        for key in DirectoryJournal.order {
            try folder.take(key.rawValue, from: journal, as: key.rawValue)
        }
        for key in DirectoryJournal.order {
            guard try journal.status(of: DirectoryJournal.removal(of: key)) != nil else { continue }
            try folder.remove(key.rawValue)
        }
        // And it is needed until all this is on the disk.
        try folder.sync()
        try empty(journal)
        try folder.removeFolder(DirectoryJournal.name)
        try folder.sync()
    }

    /// The journal of a change that was made, if there is one.
    ///
    /// - Throws: ``FileFailure`` `.strangers` if it, or a file in it, was put there by somebody else: a journal is believed
    ///   without more ado, and so is for us to make alone.
    static func committed(in folder: OpenFolder) throws(FileFailure) -> OpenFolder? {
        guard let journal = try folder.openFolder(name) else { return nil }
        try folder.checkIsOurs(try journal.status(), journal.path)
        for key in StoreKey.allCases {
            for name in [key.rawValue, removal(of: key)] {
                guard let status = try journal.status(of: name, followingLinks: false) else { continue }
                let path = journal.path(of: name)
                guard status.isRegularFile else { throw FileFailure(.open, path, .notAFile(status.kind)) }
                try folder.checkIsOurs(status, path)
                guard status.names == 1 else { throw FileFailure(.open, path, .secondName) }
            }
        }
        return journal
    }

    func discardUnfinished() throws(FileFailure) {
        guard let journal = try folder.openFolder(DirectoryJournal.unfinishedName) else { return }
        try empty(journal)
        try folder.removeFolder(DirectoryJournal.unfinishedName)
    }

    /// The name of the empty file that stands for a removal.
    static func removal(of key: StoreKey) -> String { "\(key).removed" }

    private func write(
        _ value: [UInt8], to name: String, in journal: OpenFolder, mode: mode_t
    ) throws(FileFailure) {
        let file = try journal.openFile(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: mode)
        // The umask may have taken something away.
        try file.setMode(mode)
        try file.write(value)
        try file.sync()
    }

    private func empty(_ journal: OpenFolder) throws(FileFailure) {
        for key in StoreKey.allCases {
            try journal.remove(key.rawValue)
            try journal.remove(DirectoryJournal.removal(of: key))
        }
    }
}
