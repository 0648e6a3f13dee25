/// The closing handshake (RFC 6455 §7.1) as a value: events in, at most one action out. No socket, no clock.
///
/// The caller performs the action. It also keeps the deadline after which it closes the transport although the peer
/// has not answered, and then calls `transportClosed()`.
public struct CloseHandshake: Sendable {
    public enum Action: Equatable, Sendable {
        /// Send a Close frame, send nothing after it, and go on reading: the peer's Close frame is still to come.
        case sendClose(CloseCode?)
        /// Send a Close frame and close the transport once it is written.
        case sendCloseThenCloseTransport(CloseCode?)
        /// Close frames went both ways. A server closes the transport at once; a client gives the server a moment to do
        /// so, which leaves the waiting state of TCP with the server (§7.1.1).
        case closeTransport
    }

    private enum State { case open, sentClose, done }
    private var state = State.open

    /// What the peer said: its code, 1005 if its Close frame had none, 1006 if the transport ended without one
    /// (§7.1.5). `nil` until one of these happened.
    public private(set) var peerCode: CloseCode?

    public init() {}

    /// Whether data and control frames may still be sent.
    public var isOpen: Bool { state == .open }
    /// Whether nothing is left but to close the transport.
    public var isDone: Bool { state == .done }

    /// We want to end the connection in good order.
    public mutating func close(_ code: CloseCode?) -> Action? {
        guard state == .open else { return nil }
        state = .sentClose
        return .sendClose(code)
    }

    /// We fail the connection (§7.1.7): the peer is told why, and its answer is not waited for.
    public mutating func fail(_ code: CloseCode) -> Action? {
        switch state {
        case .open:
            state = .done
            return .sendCloseThenCloseTransport(code)
        case .sentClose:
            state = .done
            return .closeTransport
        case .done: return nil
        }
    }

    /// The peer's Close frame came. Ours, if not sent before, repeats its code (§5.5.1).
    public mutating func receivedClose(_ code: CloseCode?) -> Action? {
        switch state {
        case .open:
            (state, peerCode) = (.done, code ?? .noStatusReceived)
            return .sendCloseThenCloseTransport(code)
        case .sentClose:
            (state, peerCode) = (.done, code ?? .noStatusReceived)
            return .closeTransport
        case .done: return nil
        }
    }

    /// The transport ended, by whichever side. Returns whether both Close frames were exchanged before (§7.1.4).
    public mutating func transportClosed() -> Bool {
        state = .done
        if peerCode == nil { peerCode = .abnormalClosure }
        return peerCode != .abnormalClosure
    }
}

/// The status code of a Close frame (RFC 6455 §7.4 and the IANA registry "WebSocket Close Code Number").
///
/// A struct rather than an enum because peers may use any code from 3000 to 4999.
public struct CloseCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The purpose of the connection is fulfilled.
    public static let normal = CloseCode(rawValue: 1000)
    /// A server shuts down, or a browser leaves the page.
    public static let goingAway = CloseCode(rawValue: 1001)
    /// The peer broke the protocol.
    public static let protocolError = CloseCode(rawValue: 1002)
    /// A type of data that this endpoint does not take, for example text where only binary is understood.
    public static let unsupportedData = CloseCode(rawValue: 1003)
    /// Never on the wire: stands for a Close frame without a code.
    public static let noStatusReceived = CloseCode(rawValue: 1005)
    /// Never on the wire: stands for a connection that ended without a Close frame.
    public static let abnormalClosure = CloseCode(rawValue: 1006)
    /// The content does not fit its type: text that is not UTF-8, or a broken compressed message.
    public static let invalidPayload = CloseCode(rawValue: 1007)
    /// A rule of this endpoint that no other code describes.
    public static let policyViolation = CloseCode(rawValue: 1008)
    /// Larger than this endpoint accepts.
    public static let messageTooBig = CloseCode(rawValue: 1009)
    /// The client expected an extension that the server did not negotiate.
    public static let mandatoryExtension = CloseCode(rawValue: 1010)
    /// This endpoint failed for a reason of its own.
    public static let internalError = CloseCode(rawValue: 1011)
    /// The service restarts (IANA registry).
    public static let serviceRestart = CloseCode(rawValue: 1012)
    /// The service is overloaded (IANA registry).
    public static let tryAgainLater = CloseCode(rawValue: 1013)
    /// A gateway got an invalid answer from its upstream (IANA registry).
    public static let badGateway = CloseCode(rawValue: 1014)
    /// Never on the wire: stands for a failed TLS handshake.
    public static let tlsHandshake = CloseCode(rawValue: 1015)

    /// Whether the code may stand in a Close frame (RFC 6455 §7.4.1 and §7.4.2).
    ///
    /// 1004, 1005, 1006 and 1015 are reserved; nothing is assigned below 1000, from 1016 to 2999, or
    /// above 4999.
    public var isValidOnTheWire: Bool {
        switch rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }

    public var description: String { String(rawValue) }
}

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
