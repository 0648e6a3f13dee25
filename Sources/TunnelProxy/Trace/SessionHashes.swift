internal import TunnelCore
internal import TunnelPKI

/// What the log shows of a session's id, which is as good as a password: the first 16 hexadecimal digits of its SHA-256. So
/// lines of one session are found, also by who has the id, and nobody gets the id from them.
///
/// A session has many requests, so the hash of an id is kept for a loop's next requests; the id is not. One for each loop.
struct SessionHashes {
    private struct Entry {
        /// Of the id, by a hash that has another key in each process: enough to know it again.
        let mark: UInt64
        let hash: UInt64
    }

    private static let places = 64
    private var entries: [Entry?] = []

    /// - Returns: `nil` when OpenSSL has no SHA-256.
    mutating func hash(of id: Span<UInt8>) -> UInt64? {
        var hasher = Hasher()
        id.withUnsafeBytes { hasher.combine(bytes: $0) }
        let mark = UInt64(bitPattern: Int64(hasher.finalize()))
        if entries.isEmpty { entries = [Entry?](repeating: nil, count: Self.places) }
        let place = Int(truncatingIfNeeded: mark & UInt64(Self.places - 1))
        if let entry = entries[place], entry.mark == mark { return entry.hash }
        guard let digest = try? id.withUnsafeBytes({ [UInt8]($0) }).sha256() else { return nil }
        let hash = digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        entries[place] = Entry(mark: mark, hash: hash)
        return hash
    }
}
