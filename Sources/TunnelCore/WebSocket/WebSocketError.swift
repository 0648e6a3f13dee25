/// Why a WebSocket connection must end.
///
/// `code` is what to send in the Close frame (RFC 6455 §7.1.7, "fail the WebSocket connection"); `reason` is for our
/// own log only. During the opening handshake there is no Close frame: the transport is closed without one.
public struct WebSocketError: Error, Equatable, Sendable, CustomStringConvertible {
    public let code: CloseCode
    public let reason: String

    public init(code: CloseCode, reason: String) {
        self.code = code
        self.reason = reason
    }

    public var description: String { "websocket \(code): \(reason)" }

    /// Equal by code, because the reason is prose.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code }

    static func protocolError(_ reason: String) -> Self { Self(code: .protocolError, reason: reason) }
    static func invalidPayload(_ reason: String) -> Self { Self(code: .invalidPayload, reason: reason) }
    static func messageTooBig(_ what: String, limit: Int) -> Self {
        Self(code: .messageTooBig, reason: "\(what) over \(limit) bytes")
    }
}
