// docs/embedding.md
import TunnelCore

/// Answers every message of a WebSocket with itself. `received` is what came from the peer after the handshake.
func echo(_ connection: inout WebSocketMessages, _ received: [UInt8]) throws -> [UInt8] {
    var output = ByteBuffer()
    connection.receive(received.span)
    while let event = try connection.next(output: &output) {
        switch event {
        case .text(let text): try connection.send(text: text, output: &output)
        case .binary(let bytes): try connection.send(binary: bytes.span, output: &output)
        case .ping, .pong, .closed: break  // pings and the closing handshake are answered already
        }
    }
    return output.array  // to be sent; then close the transport if connection.isFinished
}
// docs/embedding.md
