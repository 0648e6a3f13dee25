public import TunnelCore

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
