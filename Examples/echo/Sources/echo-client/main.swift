// Sends back what a server sends, for each address in turn: echo-client ws://127.0.0.1:9000/path...
import EchoSockets
import Foundation
import TunnelCore

/// The opening handshake: sends the request, and reads the response.
func open(_ socket: Socket, host: String, path: String) throws -> (agreed: DeflateParameters?, rest: [UInt8]) {
    let handshake = try ClientHandshake(host: host, path: path, deflate: Echo.deflate)
    var request = ByteBuffer()
    handshake.appendRequest(into: &request)
    try request.withBytes { try socket.write($0) }
    var received: [UInt8] = []
    while true {
        let bytes = try socket.read()
        guard !bytes.isEmpty else { throw Socket.Failure(reason: "the server closed in the handshake") }
        received += bytes
        if let response = try handshake.check(received.span) {
            return (response.deflate, Array(received[response.consumed...]))
        }
    }
}

func visit(_ address: String) throws {
    // ws://HOST:PORT/PATH
    let rest = address.dropFirst("ws://".count)
    let path = rest.firstIndex(of: "/") ?? rest.endIndex
    let host = rest[..<path], colon = host.lastIndex(of: ":")
    guard address.hasPrefix("ws://"), let colon, let port = UInt16(host[host.index(after: colon)...]) else {
        throw Socket.Failure(reason: "not ws://ADDRESS:PORT/PATH: \(address)")
    }
    let socket = try Socket.connect(to: String(host[..<colon]), port: port)
    let target = path == rest.endIndex ? "/" : String(rest[path...])
    let (agreed, first) = try open(socket, host: String(host), path: target)
    var connection = WebSocketMessages(role: .client, maxMessageSize: Echo.maxMessage, deflate: agreed)
    try Echo.run(&connection, on: socket, received: first)
    // The server is the one who closes (RFC 6455 §7.1.1).
    socket.drain()
}

var failed = false
for address in CommandLine.arguments.dropFirst() {
    do { try visit(address) } catch {
        say("\(address): \(error)")
        failed = true
    }
}
exit(failed ? 1 : 0)
