/// What carries requests: ``HTTPSTransport``, or the caller's own.
public protocol HTTPTransport: Sendable {
    /// Sends `request` once and returns the whole answer, whatever its status. Follows no redirect, repeats nothing,
    /// except that a repeatable request that a kept connection could not take goes out on a new one.
    func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse

    /// Waits for `duration`. Used between repeated attempts, which only the transport's own loop can time.
    func pause(_ duration: Duration) async
}

/// Why no answer came.
public struct TransportError: Error, Sendable, Equatable, CustomStringConvertible {
    /// More codes may come in later versions.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        /// The host's name has no address.
        public static let nameNotFound = Code(rawValue: "name-not-found")
        /// No connection could be opened.
        public static let connect = Code(rawValue: "connect")
        /// The TLS handshake failed, or a record could not be read.
        public static let tls = Code(rawValue: "tls")
        /// The request's time-out passed.
        public static let timedOut = Code(rawValue: "timed-out")
        /// The proxy on the way refused, or is not usable.
        public static let proxy = Code(rawValue: "proxy")
        /// The connection ended before the answer did.
        public static let closed = Code(rawValue: "closed")
        /// The answer is not HTTP/1.1 as it should be.
        public static let malformed = Code(rawValue: "malformed")
        /// The answer is longer than the request allows.
        public static let tooLarge = Code(rawValue: "too-large")
        /// The request cannot be put on the wire as it is.
        public static let invalidRequest = Code(rawValue: "invalid-request")
        /// The kernel gave no thread or descriptor.
        public static let system = Code(rawValue: "system")
    }

    public let code: Code
    /// In words: what was being done, with which host, and what went wrong. Never with a field or a body.
    public let reason: String
    /// Whether the server may have received the whole request, so that nobody knows whether it was acted on.
    public let mayHaveBeenReceived: Bool

    public init(_ code: Code, _ reason: String, mayHaveBeenReceived: Bool = false) {
        (self.code, self.reason, self.mayHaveBeenReceived) = (code, reason, mayHaveBeenReceived)
    }

    public var description: String { reason }

    /// Equal when the codes are.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code }
}
