/// The organization that the fake plays, and who may come in.
public struct FakeConfiguration: Sendable {
    /// A UUID.
    public var organizationID: String
    public var rules: [FakeRule]
    /// Tunnels API keys of claude.ai, which are bearer tokens for the second generation that do not expire.
    public var apiTokens: [String]
    /// Whether the organization takes part in the research preview. One that does not gets the response for an unknown
    /// beta.
    public var hasPreviewAccess: Bool
    /// Tunnels that are there from the beginning, as those that are made in the Console.
    public var tunnels: [InitialTunnel]

    public struct InitialTunnel: Sendable, Hashable {
        public var displayName: String?
        /// Made up where it is `nil`.
        public var id: String?
        /// `nil` for the default workspace.
        public var workspaceID: String?

        public init(displayName: String?, id: String? = nil, workspaceID: String? = nil) {
            (self.displayName, self.id, self.workspaceID) = (displayName, id, workspaceID)
        }

        /// `tnl_` and then letters and digits.
        public static func isID(_ text: String) -> Bool { FakeState.isPrefixed(text, "tnl_") }
    }

    /// What is wrong, in words that begin with a member's name; `nil` if nothing is.
    public var problem: String? {
        FakeState.isUUID(organizationID) ? rules.lazy.compactMap(\.problem).first : "organization: must be a UUID"
    }

    public init(
        organizationID: String = FakeRule.sampleOrganizationID, rules: [FakeRule] = [FakeRule()],
        apiTokens: [String] = [], hasPreviewAccess: Bool = true, tunnels: [InitialTunnel] = []
    ) {
        (self.organizationID, self.rules, self.apiTokens) = (organizationID, rules, apiTokens)
        (self.hasPreviewAccess, self.tunnels) = (hasPreviewAccess, tunnels)
    }
}

/// A federation rule: which identity tokens are exchanged, and for what.
public struct FakeRule: Sendable, Hashable {
    public static let sampleOrganizationID = "00000000-0000-4000-8000-000000000001"
    /// The workspace that has no id of its own, as a token request names it.
    public static let defaultWorkspace = "default"

    public var id: String
    /// `iss`, byte for byte; `nil` for any.
    public var issuer: String?
    /// `sub`: exact, or a prefix with a trailing `*`.
    public var subject: String
    /// An element of `aud`, byte for byte.
    public var audience: String
    /// What the access token may do; several are separated by spaces.
    public var scope: String
    /// Whether the response names the scope.
    public var reportsScope: Bool
    /// The workspaces that the rule's service account is a member of: ids, or ``defaultWorkspace``.
    public var workspaces: [String]
    /// In seconds, 60...86400.
    public var tokenLifetime: Int
    public var serviceAccountID: String

    /// What is wrong with the rule, in words that begin with a member's name; `nil` if nothing is.
    public var problem: String? {
        if !FakeState.isPrefixed(id, "fdrl_") { return "rule: must be `fdrl_` and then letters and digits" }
        if subject.isEmpty { return "subject: is empty" }
        if audience.isEmpty { return "audience: is empty" }
        if workspaces.isEmpty { return "workspace: is missing" }
        let isKnown = { $0 == FakeRule.defaultWorkspace || FakeState.isWorkspaceID($0) }
        return workspaces.allSatisfy(isKnown)
            ? nil : "workspace: must be `wrkspc_` and letters and digits, or `default`"
    }

    public init(
        id: String = "fdrl_01FakeRule", issuer: String? = nil,
        subject: String = "system:serviceaccount:mcp-tunnel:mcp-tunnel-setup", audience: String = "api.anthropic.com",
        scope: String = FakeGeneration.second.scope, reportsScope: Bool = true,
        workspaces: [String] = [FakeRule.defaultWorkspace], tokenLifetime: Int = 3600,
        serviceAccountID: String = "svac_01FakeAccount"
    ) {
        (self.id, self.issuer, self.subject, self.audience) = (id, issuer, subject, audience)
        (self.scope, self.reportsScope, self.workspaces) = (scope, reportsScope, workspaces)
        (self.tokenLifetime, self.serviceAccountID) = (tokenLifetime, serviceAccountID)
    }
}

/// The two published generations of the API. Told apart from TunnelAPI's own so that a mistake there shows here.
public enum FakeGeneration: Int, Sendable, CaseIterable {
    case first = 1
    case second = 2

    public var basePath: String { self == .first ? "/v1/organizations/tunnels" : "/v1/tunnels" }
    public var beta: String { self == .first ? "mcp-tunnels-2026-05-19" : "mcp-tunnels-2026-06-22" }
    public var scope: String { self == .first ? "org:manage_tunnels" : "workspace:manage_tunnels" }
}
