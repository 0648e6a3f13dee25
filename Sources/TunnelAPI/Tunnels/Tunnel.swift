public import TunnelCore

/// A tunnel as the API tells of it.
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
