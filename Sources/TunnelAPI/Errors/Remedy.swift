internal import TunnelCore

/// What to do about an error, by where and how it came.
enum Remedy {
    static let tryLater = "try again later"
    static let timedOut = "look at the network's speed and the service's state, and try again"
    static let assertion =
        "give the token that the identity provider issued, a JWT, in ANTHROPIC_IDENTITY_TOKEN_FILE or "
        + "ANTHROPIC_IDENTITY_TOKEN"

    /// The server's own wish, rounded up to seconds.
    static func busy(_ wait: Duration) -> String {
        let seconds = wait.components.seconds + (wait.components.attoseconds > 0 ? 1 : 0)
        return "try again later: the server asks for \(seconds) seconds"
    }

    static func wrongServer(_ service: ServiceURL) -> String {
        "see whether \(service) is the Claude API, and whether a proxy on the way answers in its place (--api-url, "
            + "HTTPS_PROXY, NO_PROXY)"
    }

    static func transport(_ code: TransportError.Code, _ service: ServiceURL) -> String {
        switch code {
        case .tls:
            "see whether \(service) is the Claude API, and whether something on the way replaces its certificate"
        case .tooLarge, .malformed, .invalidRequest: wrongServer(service)
        default: "see whether \(service) can be reached from here (--api-url, DNS, firewall, HTTPS_PROXY, NO_PROXY)"
        }
    }

    /// For an answer of the Tunnels API.
    static func answer(
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

extension APIError.Code {
    /// By the status of an answer that is no success.
    init(status: Int) {
        self =
            switch status {
            case 401: .unauthenticated
            case 403: .forbidden
            case 404: .notFound
            case 408, 504: .timedOut
            case 409: .conflict
            case 413: .tooLarge
            case 429: .rateLimited
            case 529: .overloaded
            case 400...499: .invalidRequest
            case 500...599: .server
            default: .malformedAnswer
            }
    }
}
