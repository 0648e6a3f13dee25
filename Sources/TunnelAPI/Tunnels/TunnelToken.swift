public import TunnelCore

/// The token with which a connector opens the tunnel from inside.
public struct TunnelToken: Sendable {
    /// `ttkn_…`; another one after each rotation.
    public let id: String
    public let value: Secret

    public init(id: String, value: Secret) { (self.id, self.value) = (id, value) }
}
