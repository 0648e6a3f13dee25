// Answers each message of a WebSocket with itself: echo-server [PORT]
import EchoSockets
import Foundation
import TunnelCore

/// The opening handshake: reads the request, and answers it with 101 or with what is wrong with it.
///
/// - Returns: what was agreed, and the bytes that came behind the request; `nil` when there is no WebSocket.
func open(_ socket: Socket) throws -> (agreed: DeflateParameters?, rest: [UInt8])? {
    var received: [UInt8] = [], handshake = ServerHandshake(deflate: Echo.deflate), output = ByteBuffer()
    do {
        while true {
            if let request = try handshake.check(received.span) {
                request.appendResponse(into: &output)
                try output.withBytes { try socket.write($0) }
                return (request.deflate, Array(received[request.consumed...]))
            }
            let bytes = try socket.read()
            if bytes.isEmpty { return nil }
            received += bytes
        }
    } catch let refusal as ServerHandshake.Refusal {
        refusal.appendResponse(into: &output)
        try output.withBytes { try socket.write($0) }
        return nil
    }
}

func serve(_ socket: Socket) {
    do {
        if let (agreed, rest) = try open(socket) {
            var connection = WebSocketMessages(role: .server, maxMessageSize: Echo.maxMessage, deflate: agreed)
            try Echo.run(&connection, on: socket, received: rest)
        }
    } catch {
        say("\(error)")
    }
    // The server is the one who closes (RFC 6455 §7.1.1); the client may still be sending.
    socket.endWriting()
    socket.drain()
}

let listener = try Listener(port: CommandLine.arguments.dropFirst().first.flatMap { UInt16($0) } ?? 9000)
say("listening on 127.0.0.1:\(listener.port)")
while true {
    let socket = try listener.accept()
    Thread.detachNewThread { serve(socket) }
}
