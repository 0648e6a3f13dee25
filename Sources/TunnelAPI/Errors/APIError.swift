internal import TunnelCore

/// Why an operation on the Tunnels API failed, in words for the person who has to do something about it.
///
/// No text in it holds a credential: what a server sends goes through a redaction first.
public struct APIError: Error, Sendable, Equatable, CustomStringConvertible {
    /// More codes may come in later versions.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public var description: String { rawValue }

        /// The identity token cannot be read, is empty or too large.
        public static let identityToken = Code(rawValue: "identity-token")
        /// No response came: name, connection, TLS, proxy.
        public static let transport = Code(rawValue: "transport")
        /// Too late: the time for the operation is over, or the server gave up (408, 504).
        public static let timedOut = Code(rawValue: "timed-out")
        /// HTTP 401.
        public static let unauthenticated = Code(rawValue: "unauthenticated")
        /// HTTP 403.
        public static let forbidden = Code(rawValue: "forbidden")
        /// HTTP 404.
        public static let notFound = Code(rawValue: "not-found")
        /// HTTP 409.
        public static let conflict = Code(rawValue: "conflict")
        /// HTTP 413.
        public static let tooLarge = Code(rawValue: "too-large")
        /// HTTP 400, and each other 4xx that has no code of its own.
        public static let invalidRequest = Code(rawValue: "invalid-request")
        /// HTTP 429.
        public static let rateLimited = Code(rawValue: "rate-limited")
        /// HTTP 529.
        public static let overloaded = Code(rawValue: "overloaded")
        /// Each other 5xx.
        public static let server = Code(rawValue: "server")
        /// There is a response, but not one that the documents describe: a redirect, a body that is not JSON, a field
        /// that is missing, more than the limits allow.
        public static let malformedResponse = Code(rawValue: "malformed-response")
        /// An argument cannot be right; nothing was sent.
        public static let invalidArgument = Code(rawValue: "invalid-argument")
        /// The API's generation in force cannot do this; the Tunnels API was not asked.
        public static let unsupported = Code(rawValue: "unsupported")
    }

    /// Where on the way it failed. More hops may come in later versions.
    public struct Hop: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public var description: String { rawValue }

        /// Reading the identity token.
        public static let identityToken = Hop(rawValue: "identity token")
        /// The exchange of the identity token for an access token.
        public static let exchange = Hop(rawValue: "token exchange")
        /// The Tunnels API itself.
        public static let api = Hop(rawValue: "Tunnels API")
    }

    public let hop: Hop
    /// What was to be done, as it follows "cannot": for example `add the CA certificate`.
    public let operation: String
    public let code: Code
    /// The HTTP status; `nil` if no response came.
    public let status: Int?
    /// The API's own type of the error, for example `permission_error`.
    public let type: String?
    /// The server's words, or ours if it said nothing: redacted, on one line, of at most 2000 characters.
    public let message: String
    /// What the provider's support asks for.
    public let requestID: String?
    /// What to do about it; never empty.
    public let remedy: String
    /// Whether something may have changed on the server although no response says so. Reading operations never set it.
    public internal(set) var mayHaveBeenActedOn: Bool

    init(
        _ hop: Hop, _ operation: String, _ code: Code, status: Int? = nil, type: String? = nil, _ message: String,
        requestID: String? = nil, remedy: String, mayHaveBeenActedOn: Bool = false
    ) {
        (self.hop, self.operation, self.code) = (hop, operation, code)
        (self.status, self.type, self.message, self.requestID) = (status, type, message, requestID)
        (self.remedy, self.mayHaveBeenActedOn) = (remedy, mayHaveBeenActedOn)
    }

    /// The same, after an earlier failure that left open whether the thing was done.
    func leavingOpen(_ remedy: String?) -> APIError {
        APIError(
            hop, operation, code, status: status, type: type, message, requestID: requestID,
            remedy: remedy ?? self.remedy, mayHaveBeenActedOn: true)
    }

    /// What failed and why, without the hop and the remedy, for callers that show those themselves. For example
    /// `cannot list the tunnels: HTTP 403 (permission_error): ... [request id req_...]`.
    public var reason: String { "cannot \(operation): \(cause)" }

    private var cause: String {
        var text = ""
        if let status { text += type.map { "HTTP \(status) (\($0)): " } ?? "HTTP \(status): " }
        text += message
        if let requestID { text += " [request id \(requestID)]" }
        if mayHaveBeenActedOn { text += "; it may have been carried out all the same" }
        return text
    }

    /// For example `cannot list the tunnels: Tunnels API: HTTP 403 (permission_error): … [request id req_…]; …`.
    public var description: String { "cannot \(operation): \(hop.rawValue): \(cause); \(remedy)" }

    /// Equal when the codes are.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code }
}

extension APIError.Code {
    /// By the status of a response that is no success.
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
            default: .malformedResponse
            }
    }
}

extension APIError {
    /// For a request that got no response.
    static func transport(
        _ error: TransportError, _ hop: Hop, _ operation: String, _ service: ServiceURL, _ redaction: Redaction,
        mayHaveBeenActedOn: Bool = false, remedy: String? = nil
    ) -> APIError {
        let code: Code =
            switch error.code {
            case .timedOut: .timedOut
            case .tooLarge, .malformed: .malformedResponse
            default: .transport
            }
        return APIError(
            hop, operation, code, redaction(error.reason), remedy: remedy ?? Remedy.transport(error, service),
            mayHaveBeenActedOn: mayHaveBeenActedOn)
    }
}

/// What to do about an error, by where and how it came.
enum Remedy {
    static let tryLater = "try again later"
    static let timedOut = "look at the network's speed and the service's state, and try again"
    static let assertion =
        "give a token that the identity provider has just issued, a JWT, in ANTHROPIC_IDENTITY_TOKEN_FILE or "
        + "ANTHROPIC_IDENTITY_TOKEN; if it is new, look at this machine's clock"

    /// The server's own wish, rounded up to seconds.
    static func busy(_ wait: Duration) -> String {
        let seconds = wait.components.seconds + (wait.components.attoseconds > 0 ? 1 : 0)
        return "try again later: the server asks for \(seconds) seconds"
    }

    static func wrongServer(_ service: ServiceURL) -> String {
        "see whether \(service) is the Claude API, and whether a proxy on the way answers in its place (--api-url, "
            + "HTTPS_PROXY, NO_PROXY)"
    }

    static func transport(_ error: TransportError, _ service: ServiceURL) -> String {
        switch error.code {
        // In TLS 1.3 what a server thinks of its client comes behind the handshake.
        case .tls where error.stage == .proxyHandshake || error.stage == .proxy:
            "see whether the proxy of HTTPS_PROXY speaks TLS (if not, write http://), whether its certificate names it, and "
                + "whether SSL_CERT_FILE or SSL_CERT_DIR holds its CA beside that of \(service)"
        case .tls:
            "see whether \(service) is the Claude API, and whether something on the way replaces its certificate"
        case .tooLarge, .malformed, .invalidRequest: wrongServer(service)
        default: "see whether \(service) can be reached from here (--api-url, DNS, firewall, HTTPS_PROXY, NO_PROXY)"
        }
    }
}
