/// The extensions of a certificate that decide whether it can serve a tunnel (RFC 5280 §4.2.1).
public struct CertificateExtensions: Sendable {
    /// BasicConstraints, or `nil` if absent.
    public struct BasicConstraints: Sendable, Hashable {
        public var isCritical: Bool
        public var isAuthority: Bool
        /// Greatest number of intermediates below, or `nil` if not limited.
        public var pathLength: Int?
    }

    /// KeyUsage bits (RFC 5280 §4.2.1.3).
    public struct KeyUsage: OptionSet, Sendable, Hashable {
        public let rawValue: UInt16
        public init(rawValue: UInt16) { self.rawValue = rawValue }
        // The values are those of the two bytes of the BIT STRING, first byte low.
        public static let digitalSignature = KeyUsage(rawValue: 0x80)
        public static let nonRepudiation = KeyUsage(rawValue: 0x40)
        public static let keyEncipherment = KeyUsage(rawValue: 0x20)
        public static let dataEncipherment = KeyUsage(rawValue: 0x10)
        public static let keyAgreement = KeyUsage(rawValue: 0x08)
        public static let keyCertSign = KeyUsage(rawValue: 0x04)
        public static let crlSign = KeyUsage(rawValue: 0x02)
        public static let encipherOnly = KeyUsage(rawValue: 0x01)
        public static let decipherOnly = KeyUsage(rawValue: 0x8000)
        /// By the number of their bits in the extension.
        static let inOrder: [KeyUsage] = [
            .digitalSignature, .nonRepudiation, .keyEncipherment, .dataEncipherment, .keyAgreement, .keyCertSign,
            .crlSign, .encipherOnly, .decipherOnly,
        ]
    }

    public var basicConstraints: BasicConstraints?
    public var keyUsage: KeyUsage?
    /// Object identifiers of ExtendedKeyUsage in dotted form, or `nil` if absent. serverAuth is `1.3.6.1.5.5.7.3.1`.
    public var extendedKeyUsage: [String]?
    public var subjectKeyIdentifier: [UInt8]?
    /// The keyIdentifier of AuthorityKeyIdentifier, or `nil` if the extension or the field is absent.
    public var authorityKeyIdentifier: [UInt8]?
    public var subjectAlternativeNames: [SubjectAlternativeName] = []
    /// Names of critical extensions that a TLS peer would not understand and so must refuse (RFC 5280 §4.2).
    public var unknownCritical: [String] = []
    /// What is wrong with the form of the extensions: those that are there twice or whose contents do not parse. Of a
    /// double the first counts.
    public var defects: [String] = []
}

/// A name that a certificate speaks for (RFC 5280 §4.2.1.6). Text is as found, with control characters escaped.
public enum SubjectAlternativeName: Sendable, Hashable, CustomStringConvertible {
    case dns(String)
    case ip(String)
    /// A kind that TLS servers do not use; the text says which.
    case other(String)

    public var dnsName: String? {
        if case .dns(let name) = self { name } else { nil }
    }

    public var description: String {
        switch self {
        case .dns(let name): "DNS:\(name)"
        case .ip(let address): "IP:\(address)"
        case .other(let kind): kind
        }
    }
}
