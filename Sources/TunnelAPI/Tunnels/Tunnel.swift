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
