/// What carries requests: ``HTTPSTransport``, or the caller's own.
public protocol HTTPTransport: Sendable {
    /// Sends `request` once and returns the whole response, whatever its status. Follows no redirect, repeats nothing,
    /// except that a repeatable request that a kept connection could not take goes out on a new one.
    func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse

    /// Waits for `duration`. Used between repeated attempts, which only the transport's own loop can time.
    func pause(_ duration: Duration) async
}

/// Why no response came: what failed, at which stage, and whether the server may have seen all of the request.
public struct TransportError: Error, Sendable, Equatable, CustomStringConvertible {
    /// More codes may come in later versions.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public var description: String { rawValue }

        /// The host's name has no address, or the name server did not say.
        public static let nameNotFound = Code(rawValue: "name-not-found")
        /// No connection could be opened.
        public static let connect = Code(rawValue: "connect")
        /// The TLS handshake failed, or a record could not be read.
        public static let tls = Code(rawValue: "tls")
        /// The request's time-out passed.
        public static let timedOut = Code(rawValue: "timed-out")
        /// The proxy on the way cannot be reached, refused, does not speak HTTP/1.1, or ended the tunnel.
        public static let proxy = Code(rawValue: "proxy")
        /// The connection ended before the response did.
        public static let closed = Code(rawValue: "closed")
        /// The response is not HTTP/1.1 as it should be.
        public static let malformed = Code(rawValue: "malformed")
        /// The response is longer than the request allows.
        public static let tooLarge = Code(rawValue: "too-large")
        /// The request cannot be put on the wire as it is.
        public static let invalidRequest = Code(rawValue: "invalid-request")
        /// The kernel gave no thread or descriptor.
        public static let system = Code(rawValue: "system")
    }

    /// How far the request came. More stages may come in later versions.
    public struct Stage: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        /// What was being done, as it precedes the name of the host.
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public var description: String { rawValue }

        /// Before anything was sent anywhere.
        public static let request = Stage(rawValue: "request to")
        public static let lookup = Stage(rawValue: "look up")
        public static let connect = Stage(rawValue: "connect to")
        /// The proxy is one that is reached in TLS.
        public static let proxyHandshake = Stage(rawValue: "TLS handshake with the proxy")
        /// The proxy was asked for a tunnel to the server.
        public static let proxy = Stage(rawValue: "CONNECT through")
        public static let handshake = Stage(rawValue: "TLS handshake with")
        public static let send = Stage(rawValue: "send the request to")
        public static let response = Stage(rawValue: "read the response of")
    }

    public let code: Code
    /// `nil` if the transport does not say.
    public let stage: Stage?
    /// In words: what was being done, with which host, and what went wrong. Never with a field or a body.
    public let reason: String
    /// Whether the server may have received the whole request, so that nobody knows whether it was acted on.
    public let mayHaveBeenReceived: Bool

    public init(_ code: Code, _ reason: String, mayHaveBeenReceived: Bool = false) {
        (self.code, stage, self.reason) = (code, nil, reason)
        self.mayHaveBeenReceived = mayHaveBeenReceived
    }

    /// - Parameters:
    ///   - peer: whom the stage is about.
    ///   - problem: what went wrong, for example `connection refused`.
    package init(_ code: Code, _ stage: Stage, _ peer: String, _ problem: String, mayHaveBeenReceived: Bool = false) {
        (self.code, self.stage, self.mayHaveBeenReceived) = (code, stage, mayHaveBeenReceived)
        reason = "\(stage.rawValue) \(peer): \(problem)"
    }

    /// For example `connect to api.example.com:443: connection refused`.
    public var description: String { reason }

    /// Equal when the codes are.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code }
}
