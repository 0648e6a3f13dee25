public import TunnelAPI

/// A request that came, for assertions. It holds secrets as they were sent.
public struct FakeRecord: Sendable {
    public let requestID: String
    public let method: String
    public let target: String
    public let fields: [HTTPField]
    /// Cut off behind ``maxBodyBytes``.
    public let body: [UInt8]
    /// Of the response; `nil` where none was given.
    public internal(set) var status: Int?
    /// The fault that it ran into.
    public internal(set) var fault: FakeFault.Kind?
    /// Whether the request went through the checks, and took effect if it passed them.
    public internal(set) var wasActedOn = false

    public static let maxBodyBytes = 64 * 1024

    public var path: String { String(target.prefix { $0 != "?" }) }
    /// The first field of that name, in any case.
    public func first(_ name: String) -> String? {
        fields.first { $0.name.lowercased() == name.lowercased() }?.value
    }
    /// The body as JSON; `nil` if it is none.
    public var json: FakeJSON? { try? FakeJSON(parsing: body) }
}

/// A change of state, named after the activity types of the Compliance API.
public struct FakeAuditEvent: Sendable, Hashable, Codable {
    public enum Kind: String, Sendable, Codable {
        case tunnelCreated = "tunnel_created"
        case tunnelArchived = "tunnel_archived"
        case certificateAdded = "tunnel_certificate_added"
        case certificateRevoked = "tunnel_certificate_revoked"
        case tokenRevealed = "tunnel_token_revealed"
        case tokenRotated = "tunnel_token_rotated"
        /// These two are about bearer tokens for this API, not about the connector's.
        case accessTokenMinted = "tunnel_token_minted"
        case accessTokenRevoked = "tunnel_token_revoked"
    }

    public let kind: Kind
    /// Microseconds since 1970-01-01 00:00 UTC.
    public let at: Int64
    public var tunnelID: String?
    public var certificateID: String?
    public var fingerprint: String?
    /// The id of the connector token, the new one where it was rotated.
    public var tokenID: String?
    public var reason: String?

    init(_ kind: Kind, at: Int64, tunnelID: String? = nil) {
        (self.kind, self.at, self.tunnelID) = (kind, at, tunnelID)
    }
}

/// An entry of the Console's authentication history. An exchange with an unknown rule, or one that is malformed, leaves
/// none.
public struct FakeAuthentication: Sendable, Hashable, Codable {
    public let ruleID: String
    /// Microseconds since 1970-01-01 00:00 UTC.
    public let at: Int64
    /// Why it was refused; `nil` if it was not.
    public let refusal: String?
}

/// An access token of this API.
public struct FakeAccessToken: Sendable, Hashable, Codable {
    public let value: String
    /// What it may do.
    public let scope: String
    /// The one workspace that it is for.
    public let workspace: String
    /// The workspaces that its service account is a member of, which counts in the first generation.
    public let memberships: [String]
    /// Microseconds since 1970-01-01 00:00 UTC.
    public let expiresAt: Int64

    func allows(_ generation: FakeGeneration) -> Bool {
        scope.split(separator: " ").contains { $0 == generation.scope }
    }
}
