internal import TunnelCore
internal import TunnelPKI

/// What the log shows of a session's id, which is as good as a password: the first 16 hexadecimal digits of its SHA-256. So
/// lines of one session are found, also by who has the id, and nobody gets the id from them.
///
/// A session has many requests, so the hash of an id is kept for a loop's next requests; the id is not. One for each loop.
struct SessionHashes {
    private struct Entry {
        /// Of the id, by the loop's own key: enough to know it again.
        let mark: UInt64
        let hash: UInt64
    }

    private static let places = 64
    private var entries: [Entry?] = []
    /// Nobody else knows it, so nobody can make two ids that are taken for one.
    private let key = (UInt64.random(in: .min ... .max) | 1, UInt64.random(in: .min ... .max))

    /// - Returns: `nil` when OpenSSL has no SHA-256.
    mutating func hash(of id: Span<UInt8>) -> UInt64? {
        let mark = mark(of: id)
        if entries.isEmpty { entries = [Entry?](repeating: nil, count: Self.places) }
        let place = Int(truncatingIfNeeded: mark & UInt64(Self.places - 1))
        if let entry = entries[place], entry.mark == mark { return entry.hash }
        guard let digest = try? id.withUnsafeBytes({ [UInt8]($0) }).sha256() else { return nil }
        let hash = digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        entries[place] = Entry(mark: mark, hash: hash)
        return hash
    }

    /// Eight bytes at a time: Swift's own hash costs more than the field that the result is for.
    private func mark(of id: Span<UInt8>) -> UInt64 {
        id.withUnsafeBytes { bytes in
            var mark = key.1 ^ UInt64(bytes.count)
            var index = 0
            while index < bytes.count {
                var word: UInt64 = 0
                if bytes.count - index >= 8 {
                    word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                } else {
                    for rest in index..<bytes.count { word = word << 8 | UInt64(bytes[rest]) }
                }
                let product = (mark ^ word).multipliedFullWidth(by: key.0)
                mark = (product.high ^ product.low) &+ key.1
                index += 8
            }
            return mark
        }
    }
}
