import TunnelCore

/// What is allowed, and agreed to, by both programs.
public enum Echo {
    /// Longest message, in bytes after decompression.
    public static let maxMessage = 64 << 20
    /// Compression with its defaults.
    public static let deflate = DeflateParameters()

    /// Sends every message back until the connection has ended.
    ///
    /// - Parameter connection: one whose handshake is over.
    /// - Parameter received: what came behind the handshake.
    /// - Throws: what the socket says. A peer that breaks the protocol has been told so, and is no error.
    public static func run(_ connection: inout WebSocketMessages, on socket: Socket, received: [UInt8]) throws {
        var received = received
        var output = ByteBuffer()
        while !connection.isFinished {
            connection.receive(received.span)
            do {
                while let event = try connection.next(output: &output) {
                    switch event {
                    case .text(let text): try connection.send(text: text, output: &output)
                    case .binary(let bytes): try connection.send(binary: bytes.span, output: &output)
                    case .ping, .pong, .closed: break  // pings and the closing handshake are answered already
                    }
                    // One message at a time, so that what waits to be sent is bounded by the longest.
                    try flush(&output, to: socket)
                }
            } catch let error as WebSocketError {
                say("\(error)")  // the Close frame that says so is in the output
            }
            try flush(&output, to: socket)
            guard !connection.isFinished else { return }
            received = try socket.read()
            if received.isEmpty {
                _ = connection.transportClosed()
                return
            }
        }
    }

    private static func flush(_ output: inout ByteBuffer, to socket: Socket) throws {
        try output.withBytes { try socket.write($0) }
        output.removeAll()
    }
}
