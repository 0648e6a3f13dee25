public import TunnelCore

/// A tunnel as the API describes it.
public struct Tunnel: Sendable, Hashable {
    /// `tnl_…`
    public let id: String
    /// The host name that was assigned, for example `abcd1234.tunnel.anthropic.com`. It is never given to another.
    public let domain: String
    public let displayName: String?
    public let createdAt: UnixTime
    /// `nil` while it is not archived.
    public let archivedAt: UnixTime?
    /// First generation only; `nil` is the default workspace there.
    public let workspaceID: String?

    public var isArchived: Bool { archivedAt != nil }

    /// Whether `text` can be a tunnel's domain: a host name of letters, digits and `-` (RFC 1123 §2.1) in labels of at most
    /// 63 bytes, and no IP address, which would have no names below it.
    public static func isDomain(_ text: String) -> Bool {
        let labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let isAlphanumeric = { (byte: UInt8) in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        }
        let areLabels = labels.allSatisfy { label in
            guard (1...63).contains(label.count), let first = label.first, let last = label.last else { return false }
            return isAlphanumeric(first) && isAlphanumeric(last)
                && label.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
        }
        // No top-level domain consists of digits, and software takes such names for addresses (RFC 3696 §2).
        let isNumeric = labels.last?.allSatisfy { (0x30...0x39).contains($0) } ?? true
        return text.utf8.count <= 253 && areLabels && !isNumeric
    }

    public init(
        id: String, domain: String, displayName: String? = nil, createdAt: UnixTime, archivedAt: UnixTime? = nil,
        workspaceID: String? = nil
    ) {
        (self.id, self.domain, self.displayName) = (id, domain, displayName)
        (self.createdAt, self.archivedAt, self.workspaceID) = (createdAt, archivedAt, workspaceID)
    }
}

/// A CA certificate that is registered with a tunnel.
public struct TunnelCertificate: Sendable, Hashable {
    /// `tcrt_…`
    public let id: String
    public let tunnelID: String
    /// SHA-256 of the certificate in DER, as lower-case hexadecimal digits.
    public let fingerprint: String
    public let createdAt: UnixTime
    public let expiresAt: UnixTime?
    /// `nil` while it is not archived, which the Console calls revoked.
    public let archivedAt: UnixTime?

    public var isArchived: Bool { archivedAt != nil }

    public init(
        id: String, tunnelID: String, fingerprint: String, createdAt: UnixTime, expiresAt: UnixTime? = nil,
        archivedAt: UnixTime? = nil
    ) {
        (self.id, self.tunnelID, self.fingerprint) = (id, tunnelID, fingerprint)
        (self.createdAt, self.expiresAt, self.archivedAt) = (createdAt, expiresAt, archivedAt)
    }
}

/// The token with which a connector opens the tunnel from inside.
public struct TunnelToken: Sendable {
    /// `ttkn_…`; another one after each rotation.
    public let id: String
    public let value: Secret

    public init(id: String, value: Secret) { (self.id, self.value) = (id, value) }
}
