/// Why an HTTP/1.1 message is refused. After one of these the rest of the byte stream has no meaning: answer, then close.
public struct HTTPError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The answer for a client: 400, 431 or 505. An upstream's message that is refused is a 502, whatever stands here.
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
