/// A host name as certificates and tunnels use it: letters, digits and hyphens in labels (RFC 1123 §2.1), lower case,
/// no final dot; the first label may be a lone `*`. If a value of this type exists, it is well formed.
package struct DNSName: Hashable, Sendable, CustomStringConvertible {
    /// RFC 1035 §2.3.4.
    static let maxBytes = 253
    static let maxLabelBytes = 63

    package let labels: [String]
    package var isWildcard: Bool { labels.first == "*" }
    package var description: String { labels.joined(separator: ".") }

    package init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard !bytes.isEmpty, bytes.count <= Self.maxBytes else { return nil }
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if index == 0, part.elementsEqual([UInt8(ascii: "*")]), parts.count > 1 { continue }
            guard (1...Self.maxLabelBytes).contains(part.count), part.allSatisfy(Self.isPlain),
                part.first != UInt8(ascii: "-"), part.last != UInt8(ascii: "-")
            else { return nil }
        }
        self.labels = parts.map { String(decoding: $0, as: UTF8.self).lowercased() }
    }

    /// Whether a certificate for this name is good for `host`. A wildcard stands for exactly one label (RFC 6125
    /// §6.4.3); asked about a wildcard, only the same wildcard covers it.
    package func covers(_ host: DNSName) -> Bool {
        if labels == host.labels { return true }
        return isWildcard && labels.dropFirst() == host.labels.dropFirst()
    }

    /// Whether this name is `domain` or lies below it.
    package func isWithin(_ domain: DNSName) -> Bool {
        labels.count >= domain.labels.count && labels.suffix(domain.labels.count) == domain.labels[...]
    }

    /// A text that is not one, for a message. One with a part that is longer than any label is not repeated: it may be a
    /// key or a token in the wrong place.
    static func quoted(_ text: String) -> String {
        let parts = text.utf8.split(separator: UInt8(ascii: "."))
        let isSmall = text.utf8.count <= maxBytes && parts.allSatisfy { $0.count <= maxLabelBytes }
        return isSmall ? text.debugDescription : "a text of \(text.count) characters"
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
