package import TunnelCore
package import TunnelIO
internal import TunnelTLS

/// The other end of a tunnel: TCP or a Unix socket, in it a WebSocket, in it TLS, in it HTTP/1.1 or HTTP/2. In the product
/// these are cloudflared and Claude's side; here it is what asks a proxy whether it serves, and what shows that it does.
///
/// One exists so that the health check, the demo and whatever else plays a client take the same way to the proxy, and
/// a proxy that passes one of them is reachable for all. It takes its steps in turn, on the caller's loop: ``connect``,
/// ``openWebSocket()``, ``shakeHands(authority:)``, any number of ``exchange(_:_:fields:body:onBody:)``, ``close()``.
/// All of it together ends within the time given at the start, however slowly the proxy sends.
package final class FarSide {
    /// The head of a response.
    package struct Response {
        package let status: UInt16
        /// HTTP/2 has none.
        package let reason: String
        package let isHTTP2: Bool
        package let isEventStream: Bool
        /// In the order and the case they came in.
        package let fields: [(name: String, value: String)]

        /// The value of the first field of that name, which is given in lower case.
        package subscript(name: String) -> String? { fields.first { $0.name.lowercased() == name }?.value }
    }

    private let socket: Socket
    /// Where the proxy was reached.
    package let target: SocketAddress
    private let host: String
    private let limit: Duration
    let reactor: Reactor
    private lazy var deadline = Deadline(on: reactor) { [unowned self] in
        socket.close(IOError(.timedOut, "read"))
    }
    /// From ``shakeHands(authority:)`` on.
    private var transport: TunnelTransport?
    /// Received and not decoded: the start of a frame, or what came behind the response to the upgrade.
    private var undecoded = ByteBuffer()
    /// Decrypted, and part of no response yet.
    var plaintext = ByteBuffer()
    /// Once there was a request by HTTP/2, and while none is under way.
    var requester: HTTP2Requester?

    private init(_ socket: Socket, _ target: SocketAddress, _ host: String, _ limit: Duration) {
        (self.socket, self.target, self.host, self.limit) = (socket, target, host, limit)
        reactor = socket.reactor
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
        try await connect(to: [target], host: host, within: limit, since: reactor.now, on: reactor)
    }

    /// Looks a name up and connects to the first of its addresses that accepts.
    package static func connect(
        toName name: String, port: UInt16, host: String, within limit: Duration, on reactor: Reactor
    ) async throws -> FarSide {
        let start = reactor.now
        let targets = try await lookUp(name, port: port, within: limit, on: reactor)
        return try await connect(to: targets, host: host, within: limit, since: start, on: reactor)
    }

    /// The addresses of a name, in the order in which they are tried.
    package static func lookUp(
        _ name: String, port: UInt16, within limit: Duration, on reactor: Reactor
    ) async throws -> [SocketAddress] {
        do throws(IOError) {
            let found = try await reactor.resolver.resolve(name, timeout: limit.nanoseconds, ttl: 0)
            return Connector.alternating(found).map { SocketAddress.ip($0, port: port) }
        } catch { throw FarSideError("lookup", name, error, limit) }
    }

    /// Connects to the first of several addresses that accepts.
    ///
    /// - Parameter start: when the time began, by the loop's clock.
    package static func connect(
        to targets: [SocketAddress], host: String, within limit: Duration, since start: UInt64, on reactor: Reactor
    ) async throws -> FarSide {
        func remaining() -> UInt64 { limit.nanoseconds - min(limit.nanoseconds, reactor.now &- start) }
        do throws(DialError) {
            let (socket, target) = try await Connector.connect(to: targets, timeout: remaining(), on: reactor)
            let farSide = FarSide(socket, target, host, limit)
            farSide.deadline.set(after: remaining())
            return farSide
        } catch {
            let target = (error.address ?? targets.first).map { "\($0)" } ?? host
            throw FarSideError("connect", target, error.error, limit)
        }
    }

    /// Gives what follows another limit, counted from now: a stream may be wanted for longer than a handshake.
    ///
    /// - Parameter limit: `nil` for none.
    package func allow(_ limit: Duration?) {
        if let limit { deadline.set(after: limit.nanoseconds) } else { deadline.cancel() }
    }

    // MARK: WebSocket

    /// Opens the WebSocket, as cloudflared does for each connection that comes down the tunnel (RFC 6455 §4.1).
    package func openWebSocket() async throws {
        let handshake = try ClientHandshake(host: host)
        var request = ByteBuffer()
        handshake.appendRequest(into: &request)
        try await send(&request)
        while true {
            guard try await receive() else {
                throw FarSideError("\(target): connection closed without an answer", .endedEarly)
            }
            let response: ClientHandshake.Response?
            do throws(WebSocketError) {
                // The handshake refuses a response before it grows beyond its limit.
                response = try undecoded.withBytes { bytes throws(WebSocketError) in try handshake.check(bytes) }
            } catch { throw FarSideError("\(error)", .notWebSocket(status: statusOfUpgrade)) }
            guard let response else { continue }
            return undecoded.consume(response.consumed)
        }
    }

    /// What was said in place of 101, if it is HTTP at all.
    private var statusOfUpgrade: UInt16? {
        var head = ResponseHead()
        let size = undecoded.withBytes { bytes in try? head.parse(bytes, requestMethod: .get) }
        return size == nil ? nil : head.status
    }

    /// Closes a WebSocket in which nothing was said (§7.1.2), and waits for the proxy to end the connection. What fails
    /// on the way does not matter any more.
    package func closeWebSocket() async {
        var encoder = FrameEncoder(role: .client)
        var output = ByteBuffer()
        encoder.appendClose(.normal, to: &output)
        do {
            try await send(&output)
            while try await receive() { undecoded.removeAll() }
        } catch {}
        socket.close()
    }

    // MARK: TLS

    /// Shakes hands inside the WebSocket.
    ///
    /// - Parameter authority: the CA in PEM that must have signed the proxy's certificate.
    package func shakeHands(authority: [UInt8]) async throws {
        try await shakeHands(trusting: try Trust(authority: authority))
    }

    /// Shakes hands inside the WebSocket.
    ///
    /// - Parameter resumption: of an earlier connection to the same proxy.
    package func shakeHands(trusting trust: Trust, resuming resumption: Resumption? = nil) async throws {
        try await shakeHands(with: trust.context, name: host, resuming: resumption)
    }

    private func shakeHands(
        with context: TLSClientContext, name: String, resuming resumption: Resumption? = nil
    ) async throws {
        let engine = try TLSEngine(client: context, serverName: name, session: resumption?.session)
        transport = TunnelTransport(role: .client, engine: engine)
        var output = ByteBuffer()
        try transport?.start(output: &output)
        try await send(&output)
        while !isHandshakeComplete { try await receivePlaintext() }
    }

    /// Shakes hands inside the WebSocket for the sake of the certificate that the proxy shows, whoever signed it and
    /// whatever it is for, and closes the tunnel again.
    ///
    /// - Parameter name: the host name to ask for.
    /// - Returns: the certificate in DER.
    package func inspectCertificate(name: String) async throws -> [UInt8] {
        let context = try TLSClientContext(inspecting: TLSClientOptions(alpn: ["http/1.1"]))
        try await shakeHands(with: context, name: name)
        let certificate = facts { $0.peerCertificate } ?? nil
        // The certificate is in; the rest is courtesy.
        _ = try? await close()
        guard let certificate else { throw FarSideError("\(target): no certificate was shown") }
        return certificate
    }

    private var isHandshakeComplete: Bool { facts { $0.isHandshakeComplete } ?? false }

    /// What was agreed on: version, cipher suite, ALPN.
    package var agreed: String {
        facts {
            let version = $0.tlsVersion == "TLS 1.3" ? "TLSv1.3" : "TLSv1.2"
            return "\(version)  \($0.cipher)  ALPN \($0.applicationProtocol ?? "none")"
        } ?? ""
    }

    /// SHA-256 of the certificate that the proxy showed.
    package var peerFingerprint: String? { facts { $0.peerFingerprint } ?? nil }

    func facts<Fact>(_ ask: (borrowing TunnelTransport) -> Fact) -> Fact? {
        switch transport {
        case .some(let transport): ask(transport)
        case .none: nil
        }
    }

    // MARK: HTTP

    /// Sends a request and reads its response to the end. Whoever has enough of it earlier throws, and closes the tunnel.
    ///
    /// - Parameters:
    ///   - fields: beside Host and Content-Length; a Host of theirs takes the place of ours. Names and values are the
    ///     caller's and hold no control bytes.
    ///   - onHead: gets the head before the body.
    ///   - onBody: gets the body piece by piece, each as soon as it is there.
    package func exchange(
        _ method: String, _ path: String, fields: [(name: String, value: String)] = [], body: [UInt8] = [],
        onHead: (Response) throws -> Void = { _ in }, onBody: (Response, [UInt8]) throws -> Void
    ) async throws -> Response {
        var head = "\(method) \(path) HTTP/1.1\r\n"
        if !fields.contains(where: { $0.name.lowercased() == "host" }) { head += "Host: \(host)\r\n" }
        for field in fields { head += "\(field.name): \(field.value)\r\n" }
        if !body.isEmpty { head += "Content-Length: \(body.count)\r\n" }
        let request = Array("\(head)\r\n".utf8) + body
        if facts({ $0.applicationProtocol }) == ApplicationProtocol.http2.rawValue {
            return try await exchangeHTTP2(request, onHead: onHead, onBody: onBody)
        }
        try await sendPlaintext(request)

        let (response, framing) = try await readHead(method)
        try onHead(response)
        var decoder = BodyDecoder(framing)
        while true {
            let (consumed, produced) = try plaintext.withMutableBytes { bytes throws(HTTPError) in
                try decoder.decode(inPlace: bytes)
            }
            let piece = plaintext.withBytes { bytes in bytes.extracting(0..<produced).withUnsafeBytes { [UInt8]($0) } }
            plaintext.consume(consumed)
            if produced > 0 { try onBody(response, piece) }
            if decoder.isComplete { return response }
            try await receivePlaintext()
        }
    }

    /// The final head; interim ones are passed over.
    private func readHead(_ method: String) async throws -> (Response, BodyFraming) {
        while true {
            var head = ResponseHead()
            let requestMethod: Method = method == "HEAD" ? .head : .post
            var size: Int?
            while true {
                size = try plaintext.withBytes { bytes throws(HTTPError) in
                    try head.parse(bytes, requestMethod: requestMethod)
                }
                if size != nil { break }
                try await receivePlaintext()
            }
            let bytes = plaintext.array
            let fields = head.fields.map { field in
                (
                    name: String(decoding: bytes[field.name], as: UTF8.self),
                    value: String(decoding: bytes[field.value], as: UTF8.self)
                )
            }
            let reason = String(decoding: bytes[head.reason], as: UTF8.self)
            plaintext.consume(size ?? 0)
            guard !head.isInformational else { continue }
            let response = Response(
                status: head.status, reason: reason, isHTTP2: false, isEventStream: head.isEventStream,
                fields: fields)
            return (response, head.framing)
        }
    }

    // MARK: The end

    /// Ends the TLS session and the WebSocket, and waits for the proxy to do the same and to end the connection.
    ///
    /// - Returns: the code of the proxy's Close frame.
    package func close() async throws -> CloseCode? {
        var output = ByteBuffer()
        transport?.close(.normal, output: &output)
        try await send(&output)
        while try await receive() { _ = decode(&output) }
        transport?.endOfInput()
        socket.close()
        guard facts({ $0.end == .closed }) == true, let code = facts({ $0.peerCloseCode }) else {
            throw FarSideError("\(target): connection closed before the WebSocket was")
        }
        return code
    }

    // MARK: Bytes

    func sendPlaintext(_ bytes: [UInt8]) async throws {
        var output = ByteBuffer()
        bytes.withUnsafeBytes { transport?.write($0, output: &output) }
        try await send(&output)
    }

    /// Takes what has come, through all layers, and sends what must be sent in return.
    func receivePlaintext() async throws {
        var output = ByteBuffer()
        // What came with the response to the upgrade may be all that was missing.
        var isMore = decode(&output)
        if !isMore {
            guard try await receive() else { throw FarSideError("\(target): connection closed early", .endedEarly) }
            isMore = decode(&output)
        }
        if !output.isEmpty { try await send(&output) }
        guard let end = facts({ $0.end }) ?? nil, plaintext.isEmpty else { return }
        guard case .failed(let reason) = end else {
            throw FarSideError("\(target): tunnel closed early", .endedEarly)
        }
        let error = facts { $0.handshakeError } ?? nil
        throw FarSideError("\(target): \(reason)", error.map { .tls(reason: $0.reason) } ?? .endedEarly)
    }

    /// Whether anything was decoded.
    private func decode(_ output: inout ByteBuffer) -> Bool {
        let before = undecoded.count
        while !undecoded.isEmpty {
            let progress = undecoded.withMutableBytes { bytes in
                transport?.receive(bytes, plaintext: &plaintext, output: &output)
            }
            undecoded.consume(progress?.consumed ?? 0)
            if progress?.hasMore != true { break }
        }
        return undecoded.count < before
    }

    private func send(_ bytes: inout ByteBuffer) async throws(FarSideError) {
        do throws(IOError) { if socket.send(&bytes) == .full { try await socket.flush(stall: 0) } } catch {
            throw FarSideError("write", target, error, limit)
        }
        if let error = socket.writeFailure { throw FarSideError("write", target, error, limit) }
    }

    /// Adds what has come to ``undecoded``; `false` at the end of the stream.
    private func receive() async throws(FarSideError) -> Bool {
        do throws(IOError) {
            while true {
                switch try socket.receive(into: &undecoded, limit: undecoded.count + Reactor.scratchSize) {
                case .bytes: return true
                case .end: return false
                case .nothing: await socket.readable()
                }
            }
        } catch { throw FarSideError("read", target, error, limit) }
    }
}
