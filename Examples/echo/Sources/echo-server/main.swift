// Answers each message of a WebSocket with itself: echo-server [PORT]
import EchoSockets
import Foundation
import TunnelCore

/// The opening handshake: reads the request, and answers it with 101 or with what is wrong with it.
///
/// - Returns: what was agreed, and the bytes that came behind the request; `nil` when there is no WebSocket.
func open(_ socket: Socket) throws -> (agreed: DeflateParameters?, rest: [UInt8])? {
    var received: [UInt8] = [], head = RequestHead(), output = ByteBuffer()
    do {
        var size: Int?
        while size == nil {
            let bytes = try socket.read()
            if bytes.isEmpty { return nil }
            received += bytes
            size = try head.parse(received.span)
        }
        switch UpgradeRequest(head, in: received.span).evaluate(deflate: Echo.deflate) {
        case .upgrade(let acceptance):
            acceptance.appendResponse(into: &output)
            try output.withBytes { try socket.write($0) }
            return (acceptance.deflate, Array(received[(size ?? 0)...]))
        case .reject(let rejection):
            let reason = ErrorResponse.reasonPhrase(UInt16(rejection.status))
            output.append("HTTP/1.1 \(rejection.status) \(reason)\r\n\(rejection.headerLines)")
            output.append("Content-Length: 0\r\nConnection: close\r\n\r\n" as StaticString)
        }
    } catch let error as HTTPError {
        ErrorResponse.append(status: error.status, body: error.reason, connectionClose: true, into: &output)
    }
    try output.withBytes { try socket.write($0) }
    return nil
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
