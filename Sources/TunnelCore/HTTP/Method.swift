/// A request method (RFC 9110 §9). Methods are case-sensitive; any other token is `.other` and is passed on as it came.
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
