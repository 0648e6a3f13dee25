internal import COpenSSL

/// The versions of TLS that are spoken. Older ones are not offered (RFC 8996).
public enum TLSVersion: String, Sendable, Comparable, CaseIterable {
    case tls12 = "TLS 1.2"
    case tls13 = "TLS 1.3"

    /// The number on the wire (RFC 8446 §4.1.2).
    var wireValue: CInt {
        switch self {
        case .tls12: TLS1_2_VERSION
        case .tls13: TLS1_3_VERSION
        }
    }

    public static func < (a: Self, b: Self) -> Bool { a.wireValue < b.wireValue }
}
