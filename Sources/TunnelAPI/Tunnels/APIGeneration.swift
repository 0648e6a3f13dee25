/// The two generations of the Tunnels API. They differ in path, beta flag and scope; only the second creates tunnels.
public enum APIGeneration: Int, Sendable, CaseIterable {
    /// Of May 2026; tunnels come from the Console.
    case first = 1
    /// Since 2026-06-22.
    case second = 2

    /// The scope that an access token must have.
    public var scope: String {
        switch self {
        case .first: "org:manage_tunnels"
        case .second: "workspace:manage_tunnels"
        }
    }

    /// What stands in the field `anthropic-beta`.
    public var betaFlag: String {
        switch self {
        case .first: "mcp-tunnels-2026-05-19"
        case .second: "mcp-tunnels-2026-06-22"
        }
    }

    /// The path of all tunnels.
    public var basePath: String {
        switch self {
        case .first: "/v1/organizations/tunnels"
        case .second: "/v1/tunnels"
        }
    }

    /// The generation that the scopes of an access token open: the second where it is among them, else the first,
    /// because the token endpoint named no scopes when that was the only one.
    public init(scopes: [String]) {
        self = scopes.contains(APIGeneration.second.scope) ? .second : .first
    }
}
