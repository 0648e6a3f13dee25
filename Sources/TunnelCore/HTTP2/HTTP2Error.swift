/// The codes of RST_STREAM and GOAWAY (RFC 9113 §7). A peer may send others.
public struct HTTP2ErrorCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let noError = HTTP2ErrorCode(rawValue: 0)
    public static let protocolError = HTTP2ErrorCode(rawValue: 1)
    public static let internalError = HTTP2ErrorCode(rawValue: 2)
    public static let flowControlError = HTTP2ErrorCode(rawValue: 3)
    public static let settingsTimeout = HTTP2ErrorCode(rawValue: 4)
    public static let streamClosed = HTTP2ErrorCode(rawValue: 5)
    public static let frameSizeError = HTTP2ErrorCode(rawValue: 6)
    public static let refusedStream = HTTP2ErrorCode(rawValue: 7)
    public static let cancel = HTTP2ErrorCode(rawValue: 8)
    public static let compressionError = HTTP2ErrorCode(rawValue: 9)
    public static let connectError = HTTP2ErrorCode(rawValue: 10)
    public static let enhanceYourCalm = HTTP2ErrorCode(rawValue: 11)
    public static let inadequateSecurity = HTTP2ErrorCode(rawValue: 12)
    public static let http11Required = HTTP2ErrorCode(rawValue: 13)

    private static let names = [
        "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
        "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
    ]

    /// The name in the registry, or the number.
    public var description: String {
        rawValue < UInt32(Self.names.count) ? Self.names[Int(rawValue)] : "error \(rawValue)"
    }
}

/// Why a connection or a stream must end (RFC 9113 §5.4). Thrown, it is the connection's; a stream's is in an event.
public struct HTTP2Error: Error, Equatable, Sendable, CustomStringConvertible {
    /// What goes into GOAWAY or RST_STREAM.
    public let code: HTTP2ErrorCode
    /// Names the rule that was broken, for our own log. Never holds bytes of the peer.
    public let reason: String

    public init(code: HTTP2ErrorCode, reason: String) {
        self.code = code
        self.reason = reason
    }

    public var description: String { "http2 \(code): \(reason)" }

    /// The reason is prose.
    public static func == (a: HTTP2Error, b: HTTP2Error) -> Bool { a.code == b.code }

    static func protocolError(_ reason: String) -> HTTP2Error { HTTP2Error(code: .protocolError, reason: reason) }
    static func frameSize(_ reason: String) -> HTTP2Error { HTTP2Error(code: .frameSizeError, reason: reason) }
    static func flowControl(_ reason: String) -> HTTP2Error { HTTP2Error(code: .flowControlError, reason: reason) }
    static func streamClosed(_ reason: String) -> HTTP2Error { HTTP2Error(code: .streamClosed, reason: reason) }
    static func calm(_ reason: String) -> HTTP2Error { HTTP2Error(code: .enhanceYourCalm, reason: reason) }
}
