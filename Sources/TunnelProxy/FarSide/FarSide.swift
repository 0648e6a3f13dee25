package import TunnelCore
package import TunnelIO
internal import TunnelTLS

/// The other end of a tunnel: TCP or a Unix socket, in it a WebSocket, in it TLS, in it HTTP/1.1. In the product these
/// are cloudflared and Claude's side; here it is what asks a proxy whether it serves, and what shows that it does.
///
/// One exists so that the health check, the demo and whatever else plays a client take the same way to the proxy, and
/// a proxy that passes one of them is reachable for all. It takes its steps in turn, on the caller's loop: ``connect``,
/// ``openWebSocket()``, ``shakeHands(authority:)``, any number of ``exchange(_:_:fields:body:onBody:)``, ``close()``.
/// All of it together ends within the time given at the start, however slowly the proxy sends.
package final class FarSide {
    /// The head of a response.
    package struct Response {
        package let status: UInt16
        package let isEventStream: Bool
        fileprivate let fields: [(name: String, value: String)]

        /// The value of the first field of that name, which is given in lower case.
        package subscript(name: String) -> String? { fields.first { $0.name == name }?.value }
    }

    private let socket: Socket
    private let target: SocketAddress
    private let host: String
    private let limit: Duration
    private let reactor: Reactor
    private let deadline: Deadline
    private var webSocket = WebSocketMessages(role: .client)
    private var isClosed = false
    /// Of the proxy's Close frame.
    private var closeCode: CloseCode?
    private var tls: TLSStream?
    /// Decrypted bytes that belong to no response yet.
    private var received: [UInt8] = []

    private init(_ socket: Socket, _ target: SocketAddress, _ host: String, _ limit: Duration, _ deadline: Deadline) {
        (self.socket, self.target, self.host, self.limit) = (socket, target, host, limit)
        (self.deadline, reactor) = (deadline, socket.reactor)
    }

    deinit { socket.close() }

    /// Connects to a proxy.
    ///
    /// - Parameters:
    ///   - host: what the requests are for: the name of a route, which the proxy's certificate must hold.
    ///   - limit: for everything, to the end of ``close()``.
    /// - Throws: ``FarSideError``, here and in all that follows, besides the errors of the protocols.
    package static func connect(
        to target: SocketAddress, host: String, within limit: Duration, on reactor: Reactor
    ) async throws -> FarSide {
        let start = reactor.now
        do throws(DialError) {
            let (socket, _) = try await Connector.connect(to: [target], timeout: limit.nanoseconds, on: reactor)
            let spent = reactor.now &- start
            let deadline = Deadline(on: reactor) { [weak socket] in socket?.close(IOError(.timedOut, "read")) }
            deadline.set(after: limit.nanoseconds - min(limit.nanoseconds, spent))
            return FarSide(socket, target, host, limit, deadline)
        } catch { throw FarSideError("connect", target, error.error, limit) }
    }

    // MARK: WebSocket

    /// Opens the WebSocket, as cloudflared does for each connection that comes down the tunnel (RFC 6455 §4.1).
    package func openWebSocket() async throws {
        let handshake = try ClientHandshake(host: host)
        var request = ByteBuffer()
        handshake.appendRequest(into: &request)
        try await send(request)
        // The handshake refuses a response before it grows beyond its limit.
        var head: [UInt8] = []
        while true {
            let more = try await receive()
            if more.isEmpty { throw FarSideError("\(target): connection closed without an answer") }
            head += more
            guard let response = try handshake.check(head.span) else { continue }
            webSocket.receive(head.span.extracting(droppingFirst: response.consumed))
            return
        }
    }

    /// Closes the WebSocket (§7.1.2) and waits for the proxy to end the connection. What fails on the way does not
    /// matter any more.
    package func closeWebSocket() async {
        var output = ByteBuffer()
        webSocket.close(output: &output)
        do {
            try await send(output)
            while !(try await receive()).isEmpty {}
        } catch {}
        end()
    }

    // MARK: TLS

    /// Shakes hands inside the WebSocket.
    ///
    /// - Parameter authority: the CA in PEM that must have signed the proxy's certificate.
    package func shakeHands(authority: [UInt8]) async throws {
        let options = TLSClientOptions(alpn: ["http/1.1"])
        let context = try TLSClientContext(trust: try TrustStore(pem: authority), options: options)
        tls = try TLSStream(client: context, serverName: host)
        try await flush()
        while tls?.isHandshakeComplete == false { try await receiveRecords() }
    }

    /// What was agreed on: version, cipher suite, ALPN.
    package var agreed: String {
        let version = tls?.engine.version == .tls13 ? "TLSv1.3" : "TLSv1.2"
        return "\(version)  \(tls?.engine.cipher ?? "no cipher")  ALPN \(tls?.engine.alpn ?? "none")"
    }

    /// SHA-256 of the certificate that the proxy showed.
    package var peerFingerprint: String? { tls?.engine.peerFingerprint }

    // MARK: HTTP

    /// Sends a request and reads its response to the end.
    ///
    /// - Parameters:
    ///   - fields: beside Host and Content-Length. Names and values are the caller's and hold no control bytes.
    ///   - onBody: gets the body piece by piece, each as soon as it is there.
    package func exchange(
        _ method: String, _ path: String, fields: [(name: String, value: String)] = [], body: [UInt8] = [],
        onBody: (Response, [UInt8]) throws -> Void
    ) async throws -> Response {
        var head = "\(method) \(path) HTTP/1.1\r\nHost: \(host)\r\n"
        for field in fields { head += "\(field.name): \(field.value)\r\n" }
        if !body.isEmpty { head += "Content-Length: \(body.count)\r\n" }
        try tls?.send(Array("\(head)\r\n".utf8) + body)
        try await flush()

        let (response, framing) = try await readHead(method)
        var decoder = BodyDecoder(framing)
        while true {
            let (consumed, produced) = try received.withUnsafeMutableBytes { try decoder.decode(inPlace: $0) }
            if produced > 0 { try onBody(response, Array(received[..<produced])) }
            received.removeFirst(consumed)
            if decoder.isComplete { return response }
            try await receiveRecords()
        }
    }

    /// The final head; interim ones are passed over.
    private func readHead(_ method: String) async throws -> (Response, BodyFraming) {
        while true {
            var head = ResponseHead()
            let requestMethod: Method = method == "HEAD" ? .head : .post
            var size: Int?
            while true {
                let bytes = received
                size = try head.parse(bytes.span, requestMethod: requestMethod)
                if size != nil { break }
                try await receiveRecords()
            }
            let fields = head.fields.map { field in
                let name = String(decoding: received[field.name], as: UTF8.self).lowercased()
                return (name, String(decoding: received[field.value], as: UTF8.self))
            }
            received.removeFirst(size ?? 0)
            guard !head.isInformational else { continue }
            return (Response(status: head.status, isEventStream: head.isEventStream, fields: fields), head.framing)
        }
    }

    // MARK: The end

    /// Ends the TLS session, then the WebSocket, and waits for the proxy to do the same.
    ///
    /// - Returns: the code of the proxy's Close frame.
    package func close() async throws -> CloseCode? {
        tls?.close()
        try await flush()
        while !isClosed { try await receiveRecords() }
        defer { end() }
        guard tls?.isAtEnd == true else {
            throw FarSideError("\(target): WebSocket closed without a close_notify before")
        }
        return closeCode
    }

    private func end() {
        deadline.cancel()
        socket.close()
    }

    // MARK: Bytes

    /// Takes what has come, through all layers, and sends what must be sent in return.
    private func receiveRecords() async throws {
        if isClosed { throw FarSideError("\(target): WebSocket closed early") }
        var output = ByteBuffer()
        try take(events: &output)
        // What came with the handshake's response may have been all that was missing.
        if output.isEmpty, tls?.isReadable != true, !isClosed {
            let bytes = try await receive()
            if bytes.isEmpty { throw FarSideError("\(target): connection closed early") }
            webSocket.receive(bytes.span)
            try take(events: &output)
        }
        if tls?.isReadable == true { received += try tls?.read() ?? [] }
        if !output.isEmpty { try await send(output) }
        if !isClosed { try await flush() }
    }

    private func take(events output: inout ByteBuffer) throws {
        while let event = try webSocket.next(output: &output) {
            switch event {
            case .binary(let records): try tls?.feed(records)
            case .text: throw FarSideError("\(target): a text message, where TLS records travel in binary ones")
            case .ping, .pong: break
            case .closed(let code, _): (isClosed, closeCode) = (true, code)
            }
        }
    }

    /// Sends the TLS records that wait, in one binary message.
    private func flush() async throws {
        let records = tls?.takeOutput() ?? []
        if records.isEmpty { return }
        var output = ByteBuffer()
        try webSocket.send(binary: records.span, output: &output)
        try await send(output)
    }

    private func send(_ bytes: consuming ByteBuffer) async throws {
        _ = socket.send(&bytes)
        do throws(IOError) { try await socket.flush() } catch { throw FarSideError("write", target, error, limit) }
    }

    /// What has come; empty at the end of the stream.
    private func receive() async throws(FarSideError) -> [UInt8] {
        do throws(IOError) {
            while true {
                if let count = try socket.receive(into: reactor.scratch) { return Array(reactor.scratch[..<count]) }
                await socket.readable()
            }
        } catch { throw FarSideError("read", target, error, limit) }
    }
}

/// Why a far side could not go on, in one line for people.
package struct FarSideError: Error, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }

    fileprivate init(_ operation: String, _ target: SocketAddress, _ error: IOError, _ limit: Duration) {
        let time = limit < .seconds(1) ? "\(Int(limit / .milliseconds(1))) ms" : "\(limit.components.seconds) s"
        let reason = error.code == .timedOut ? "nothing within \(time)" : error.reason
        description = "\(operation) \(target): \(reason)"
    }
}
