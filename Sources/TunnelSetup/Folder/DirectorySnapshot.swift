internal import Glibc

/// Reads all values of a folder as they were at one moment, without a lock, while another process may be changing them.
///
/// It works because a value is never changed in place: a name comes to mean another file. All files are kept open while
/// they are read; if every name still means the same file afterwards, then that was so at all moments in between.
struct DirectorySnapshot {
    /// A change takes milliseconds. Whoever goes on for so long is not ours.
    private static let maxAttempts = 100

    let folder: OpenFolder

    /// - Returns: `nil` if the folder does not stop changing.
    func read() throws(FileFailure) -> StoreContents? {
        for _ in 0..<DirectorySnapshot.maxAttempts {
            if let contents = try attempt() { return contents }
        }
        return nil
    }

    private struct Value {
        let file: OpenFile
        let identity: FileStatus.Identity
        let bytes: [UInt8]
    }

    /// - Returns: `nil` if something has changed meanwhile.
    func attempt() throws(FileFailure) -> StoreContents? {
        let journal = try DirectoryJournal.committed(in: folder)
        let journalIdentity = try journal?.status().identity
        var values: [StoreKey: [UInt8]] = [:]
        var seen: [(key: StoreKey, value: Value?)] = []
        for key in StoreKey.allCases {
            // The journal first: a value is moved from there to its place, never back.
            if let journal, let value = try value(of: key, in: journal) {
                values[key] = value.bytes
            } else if try journal?.status(of: DirectoryJournal.removal(of: key)) == nil {
                let value = try value(of: key, in: folder)
                values[key] = value?.bytes
                seen.append((key, value))
            }
        }
        for (key, value) in seen {
            guard try folder.status(of: key.rawValue)?.identity == value?.identity else { return nil }
        }
        let journalNow = try folder.status(of: DirectoryJournal.name, followingLinks: false)
        return journalNow?.identity == journalIdentity ? StoreContents(values) : nil
    }

    private func value(of key: StoreKey, in folder: OpenFolder) throws(FileFailure) -> Value? {
        let name = key.rawValue, file: OpenFile
        do throws(FileFailure) {
            file = try folder.openValue(name)
        } catch {
            let there = try folder.status(of: name, followingLinks: false)
            switch error.reason {
            case .system(ENOENT):
                if there?.isSymbolicLink == true { throw FileFailure(.open, folder.path(of: name), .danglingLink) }
                // If there is a file now, it has come just now, and the look at the end sees it.
                return nil
            case .system(ENXIO): throw FileFailure(.open, error.path, .notAFile(there?.kind ?? "a socket"))
            default: throw error
            }
        }
        let status = try file.status()
        guard status.isRegularFile else { throw FileFailure(.open, file.path, .notAFile(status.kind)) }
        let bytes = try file.read(limit: StoreContents.maxValueBytes)
        guard bytes.count <= StoreContents.maxValueBytes else { throw FileFailure(.read, file.path, .tooLarge) }
        return Value(file: file, identity: status.identity, bytes: bytes)
    }
}
