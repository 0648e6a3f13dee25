/// Which end of a WebSocket connection we are (RFC 6455 §1.2).
///
/// The role decides masking: a client masks every frame it sends, a server masks none (RFC 6455 §5.1).
public enum WebSocketRole: Sendable {
    case client
    case server
}
