/// The two generations of the Tunnels API. They differ in path, beta flag and scope; only the second creates tunnels.
@nonexhaustive
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

/// One call of the Tunnels API, of which the generation is not known yet.
struct APICall: Sendable {
    /// What a 404 is about.
    enum Subject: Sendable { case tunnels, tunnel, certificate }

    /// As it follows "cannot".
    var operation: String
    var method: String
    /// Behind ``APIGeneration/basePath``: empty or with a leading `/`.
    var path = ""
    /// With its `?`, or empty.
    var query = ""
    var subject = Subject.tunnel
    /// In JSON; `nil` for none.
    var body: [UInt8]?
    var repetition = RetryPolicy.Repetition.always
    /// Whether it changes something on the server.
    var changes = false
    var addsCertificate = false
    /// What to do when nobody knows whether it was carried out.
    var ambiguityRemedy: String?

    static func read(_ operation: String, _ path: String, query: String = "", _ subject: Subject = .tunnel) -> APICall {
        APICall(operation: operation, method: "GET", path: path, query: query, subject: subject)
    }

    static func change(
        _ operation: String, _ path: String, _ subject: Subject = .tunnel, body: [UInt8]? = nil
    ) -> APICall {
        APICall(operation: operation, method: "POST", path: path, subject: subject, body: body, changes: true)
    }
}

extension Remedy {
    /// For a response of the Tunnels API.
    static func response(
        _ status: Int, _ message: String, to call: APICall, generation: APIGeneration, isExchanged: Bool,
        _ service: ServiceURL
    ) -> String {
        let text = message.lowercased()
        if status == 400, text.contains("anthropic-beta") {
            let other: APIGeneration = generation == .first ? .second : .first
            return "the organization has no access to the preview of MCP tunnels, or the API's generation is not the "
                + "one of the token's scope: request access, or try --api-generation \(other.rawValue)"
        }
        if text.contains("non-archived tunnels") {
            return "archive tunnels that are not used any more, or give the id of one that exists (--tunnel-id)"
        }
        switch status {
        case 401 where isExchanged:
            return "a new token was refused too: see whether the federation rule was archived or changed"
        case 403 where isExchanged:
            return "the federation rule must grant the scope \(generation.scope), and its service account must be a "
                + "member of the tunnel's workspace"
        case 401, 403:
            return "see whether the key in API_TOKEN was revoked, copied incompletely, or made in another organization"
        case 404:
            return switch call.subject {
            case .tunnels:
                "see whether this is the API's right generation (--api-generation), and \(wrongServer(service))"
            case .tunnel:
                "see whether the tunnel's id is right, and whether it is a tunnel of the token's workspace and of this "
                    + "generation of the API (--tunnel-id, ANTHROPIC_WORKSPACE_ID, --api-generation)"
            case .certificate: "see whether both ids are right; the tunnel's certificates can be listed"
            }
        case 400, 409, 422:
            guard call.addsCertificate else { return "correct what the message names" }
            return "a tunnel holds at most two CA certificates that are not archived: see what is registered and "
                + "revoke one; and see whether the certificate meets the requirements (setup verify)"
        case 413:
            return call.addsCertificate
                ? "send one certificate of at most \(TunnelsClient.maxCertificateBytes) bytes" : "send less"
        case 408, 504: return timedOut
        case 429, 500...599: return tryLater
        default: return wrongServer(service)
        }
    }
}
