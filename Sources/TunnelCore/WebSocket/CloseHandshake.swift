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
