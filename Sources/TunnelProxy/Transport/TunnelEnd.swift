/// Why a tunnel carries no more bytes from its far side.
package enum TunnelEnd: Equatable, Sendable {
    /// The WebSocket's closing handshake, or TLS close_notify.
    case closed
    /// The TCP connection ended or failed without either.
    case lost
    /// Nothing at all arrived for `websocket.idle_timeout`.
    case idle
    /// The far side took nothing for `limits.send_timeout`.
    case stalled
    /// The peer broke RFC 6455 or TLS; the words are for the log.
    case failed(String)
    /// We ended it ourselves.
    case ended
}
