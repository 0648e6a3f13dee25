import TunnelCore
import TunnelTLS

/// What stands at the other end of a tunnel: TCP, in it a WebSocket, in it TLS, in it HTTP/1.1. In the product these
/// are cloudflared and Claude's side.
struct FarSide: ~Copyable {
    struct Answer {
        var status: UInt16
        var session: String?
        var body: [UInt8] = []
    }

    private static let maxBody = 1 << 20

    private let socket: BlockingSocket
    private let host: String
    private var webSocket = WebSocketMessages(role: .client)
    private var isClosed = false
    /// Of the proxy's Close frame.
    private var closeCode: UInt16?
    private var tls: TLSStream
    /// Decrypted bytes that belong to no answer yet.
    private var received: [UInt8] = []

    /// Connects to the proxy.
    ///
    /// - Parameter host: the name of a route, which the proxy's certificate must hold.
    /// - Parameter authority: the CA to trust, in PEM.
    init(port: UInt16, host: String, authority: [UInt8]) throws {
        let context = try TLSClientContext(
            trust: try TrustStore(pem: authority), options: TLSClientOptions(alpn: ["http/1.1"]))
        let tls = try TLSStream(client: context, serverName: host)
        let socket = try BlockingSocket.connect(port: port)
        self.host = host
        self.tls = tls
        self.socket = socket
    }

    /// Our own port.
    var port: UInt16 { socket.port }

    /// Opens the WebSocket, as cloudflared does for each connection that comes down the tunnel.
    mutating func openWebSocket() throws {
        let handshake = try ClientHandshake(host: host)
        var request = ByteBuffer()
        handshake.appendRequest(into: &request)
        try socket.write(request.array)
        var answer: [UInt8] = []
        while true {
            let more = try socket.read()
            if more.isEmpty { throw DemoError("the proxy hung up instead of answering") }
            answer += more
            guard let response = try handshake.check(answer.span) else { continue }
            answer.removeFirst(response.consumed)
            webSocket.receive(answer.span)
            return
        }
    }

    /// Shakes hands inside the WebSocket; the proxy's certificate is verified.
    mutating func shakeHands() throws {
        try flush()
        while !tls.isHandshakeComplete { try receive() }
    }

    /// What was agreed on: version, cipher suite, ALPN.
    var agreed: String {
        let version = tls.engine.version == .tls13 ? "TLSv1.3" : "TLSv1.2"
        return "\(version)  \(tls.engine.cipher ?? "no cipher")  ALPN \(tls.engine.alpn ?? "none")"
    }

    /// SHA-256 of the certificate that the proxy showed.
    var peerFingerprint: String? { tls.engine.peerFingerprint }

    /// Sends one request and reads its answer to the end.
    ///
    /// - Parameter onEvent: gets the data of each event of a stream as soon as it is there.
    mutating func exchange(
        _ method: String, session: String?, message: JSON?, onEvent: (String) -> Void
    ) throws -> Answer {
        let body = message.map { "\($0)" } ?? ""
        var head = "\(method) /mcp HTTP/1.1\r\nHost: \(host)\r\nAccept: application/json, text/event-stream\r\n"
        if let session {
            head += "Mcp-Session-Id: \(session)\r\nMCP-Protocol-Version: \(HelloServer.protocolVersion)\r\n"
        }
        if !body.isEmpty { head += "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n" }
        try tls.send(Array("\(head)\r\n\(body)".utf8))
        try flush()
        return try readAnswer(onEvent)
    }

    private mutating func readAnswer(_ onEvent: (String) -> Void) throws -> Answer {
        var head = ResponseHead()
        var size = try head.parse(received.span, requestMethod: .post)
        while size == nil {
            try receive()
            size = try head.parse(received.span, requestMethod: .post)
        }
        var answer = Answer(status: head.status, session: fieldValue("mcp-session-id", head.fields, received))
        received.removeFirst(size ?? 0)

        var decoder = BodyDecoder(head.framing)
        var events = EventReader()
        while true {
            let (consumed, produced) = try received.withUnsafeMutableBytes { try decoder.decode(inPlace: $0) }
            let piece = Array(received[..<produced])
            received.removeFirst(consumed)
            if head.isEventStream { events.take(piece).forEach(onEvent) } else { answer.body += piece }
            if decoder.isComplete { return answer }
            guard answer.body.count <= Self.maxBody else { throw DemoError("answer over \(Self.maxBody) bytes") }
            try receive()
        }
    }

    /// Ends the TLS session, then the WebSocket, and waits for the proxy to do the same.
    mutating func close() throws -> String {
        tls.close()
        try flush()
        while !isClosed { try receive() }
        guard tls.isAtEnd else { throw DemoError("the proxy closed the WebSocket without a close_notify before") }
        return "close_notify both ways, WebSocket closed with \(closeCode.map { "\($0)" } ?? "no code")"
    }

    /// Takes what has come, through all layers, and answers what must be answered.
    private mutating func receive() throws {
        if isClosed { throw DemoError("the proxy closed the WebSocket") }
        let bytes = try socket.read()
        if bytes.isEmpty { throw DemoError("the proxy closed the connection") }
        webSocket.receive(bytes.span)
        var output = ByteBuffer()
        while let event = try webSocket.next(output: &output) {
            switch event {
            case .binary(let records): try tls.feed(records)
            case .text: throw DemoError("a text message, where TLS records travel in binary ones")
            case .ping, .pong: break
            case .closed(let code, _): (isClosed, closeCode) = (true, code?.rawValue)
            }
        }
        if tls.isReadable { received += try tls.read() }
        if !output.isEmpty { try socket.write(output.array) }
        if !isClosed { try flush() }
    }

    /// Sends the TLS records that wait, in one binary frame.
    private mutating func flush() throws {
        let records = tls.takeOutput()
        if records.isEmpty { return }
        var output = ByteBuffer()
        try webSocket.send(binary: records.span, output: &output)
        try socket.write(output.array)
    }
}
