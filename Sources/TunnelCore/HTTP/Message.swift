/// A request method (RFC 9110 §9). Methods are case-sensitive; any other token is `.other` and is passed on as it came.
@nonexhaustive
public enum Method: Sendable, Equatable {
    case get, head, post, put, delete, connect, options, trace, patch, other

    /// The method does not ask for a change on the server (RFC 9110 §9.2.1).
    public var isSafe: Bool {
        switch self {
        case .get, .head, .options, .trace: true
        case .post, .put, .delete, .connect, .patch, .other: false
        }
    }

    /// Sending the request twice has the effect of sending it once (RFC 9110 §9.2.2), so it may be replayed.
    public var isIdempotent: Bool { isSafe || self == .put || self == .delete }

    init(_ name: Range<Int>, in bytes: Span<UInt8>) {
        self =
            switch name.count {
            case 3: bytes.matches(name, "GET") ? .get : bytes.matches(name, "PUT") ? .put : .other
            case 4: bytes.matches(name, "POST") ? .post : bytes.matches(name, "HEAD") ? .head : .other
            case 5: bytes.matches(name, "PATCH") ? .patch : bytes.matches(name, "TRACE") ? .trace : .other
            case 6: bytes.matches(name, "DELETE") ? .delete : .other
            case 7: bytes.matches(name, "OPTIONS") ? .options : bytes.matches(name, "CONNECT") ? .connect : .other
            default: .other
            }
    }
}

/// How the end of a message's body is found (RFC 9112 §6.3).
public enum BodyFraming: Sendable, Equatable {
    /// There is no body.
    case none
    /// Exactly that many bytes; at most `Int64.max`.
    case length(UInt64)
    /// Chunked transfer coding (RFC 9112 §7.1).
    case chunked
    /// Everything up to the end of the connection: responses only. It cannot be told from a truncated body.
    case untilClose

    /// No byte of body follows.
    public var isEmpty: Bool { self == .none || self == .length(0) }
}

/// What a peer may spend on one head, or on one trailer section.
public struct HeadLimits: Sendable, Equatable {
    /// Bytes from the first of the start line to the empty line, both included.
    public var maxBytes = 65_536
    /// Field lines.
    public var maxFields = 200

    public init() {}

    public init(maxBytes: Int, maxFields: Int) {
        self.maxBytes = maxBytes
        self.maxFields = maxFields
    }

    /// Offsets into a head are kept as `UInt32`.
    var byteLimit: Int { max(0, min(maxBytes, Int(UInt32.max))) }
}

/// Why an HTTP/1.1 message is refused. After one of these the rest of the byte stream has no meaning: respond, then close.
public struct HTTPError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The response for a client: 400, 431 or 505. An upstream's message that is refused is a 502, whatever stands here.
    public let status: UInt16
    /// Names the rule that was broken, for our own log. Never holds bytes of the peer.
    public let reason: String

    public init(status: UInt16, reason: String) {
        self.status = status
        self.reason = reason
    }

    public var description: String { "http \(status): \(reason)" }

    /// The reason is prose, so only the status counts.
    public static func == (a: HTTPError, b: HTTPError) -> Bool { a.status == b.status }

    static func badMessage(_ reason: String) -> HTTPError { HTTPError(status: 400, reason: reason) }
    static func tooLarge(_ reason: String) -> HTTPError { HTTPError(status: 431, reason: reason) }
    static func badVersion(_ reason: String) -> HTTPError { HTTPError(status: 505, reason: reason) }
}
