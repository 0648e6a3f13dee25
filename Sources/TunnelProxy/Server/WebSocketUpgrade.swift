internal import Synchronization
internal import TunnelCore
internal import TunnelIO

/// The outer upgrade: a plain HTTP/1.1 request that becomes the WebSocket (RFC 6455 §4.2).
struct WebSocketUpgrade {
    let deflate: DeflateParameters?
    /// Bytes that came behind the request.
    let early: [UInt8]

    /// How long a connection that was refused may take to go.
    private static let closeTimeout: UInt64 = 2_000_000_000

    /// Reads the request and answers it.
    ///
    /// - Returns: `nil` after any answer but 101, and when nothing came.
    static func receive(on socket: Socket, for session: TunnelSession) async -> WebSocketUpgrade? {
        let (reactor, state) = (session.reactor, session.state)
        let snapshot = state.snapshot
        var buffer = reactor.buffers.take()
        defer { reactor.buffers.give(&buffer) }
        let deadline = Deadline { socket.close(IOError(.timedOut, "read")) }
        reactor.set(deadline, after: snapshot.headerTimeout)
        defer { reactor.remove(deadline) }

        var head = RequestHead()
        do {
            while true {
                let size = try buffer.withBytes { bytes throws(HTTPError) in
                    try head.parse(bytes, limits: snapshot.headLimits)
                }
                if let size { return await answer(head, size, &buffer, socket, session) }
                var isEnd = false
                let count = try buffer.append(atMost: 4096) { room throws(IOError) in
                    let count = try socket.receive(into: room)
                    isEnd = count == 0
                    return count ?? 0
                }
                if isEnd { return nil }
                if count == 0 {
                    if buffer.isEmpty { reactor.buffers.give(&buffer) }
                    await socket.readable()
                    if buffer.capacity == 0 { buffer = reactor.buffers.take() }
                }
            }
        } catch let error as HTTPError {
            state.log(.warn, "bad upgrade request") {
                $0.field("id", session.number)
                $0.field("peer", session.peerName)
                $0.field("status", Int(error.status))
                $0.field("reason", error.reason)
            }
            await refuse(error.status, "\(ErrorResponse.reasonPhrase(error.status))", on: socket, reactor)
        } catch {
            state.log(.debug, "connection ended before its upgrade") {
                $0.field("id", session.number)
                $0.field("reason", "\(error)")
            }
        }
        return nil
    }

    private static func answer(
        _ head: RequestHead, _ size: Int, _ buffer: inout ByteBuffer, _ socket: Socket, _ session: TunnelSession
    ) async -> WebSocketUpgrade? {
        let (reactor, state) = (session.reactor, session.state)
        let configuration = state.snapshot.configuration
        if state.isDraining.load(ordering: .relaxed) {
            await refuse(503, "The tunnel proxy is shutting down", [("Retry-After", "1")], on: socket, reactor)
            return nil
        }
        if state.connections.load(ordering: .relaxed) > configuration.limits.maxConnections {
            state.log(.warn, "too many connections") { $0.field("id", session.number) }
            await refuse(503, "Too many connections", [("Retry-After", "1")], on: socket, reactor)
            return nil
        }
        let websocket = configuration.webSocket
        let request = buffer.withBytes { upgradeRequest(head, $0) }
        let decision = request.evaluate(
            subprotocol: websocket.subprotocol.isEmpty ? nil : websocket.subprotocol,
            deflate: websocket.compression ? DeflateParameters() : nil)
        switch decision {
        case .reject(let rejection):
            state.log(.info, "not a websocket upgrade") {
                $0.field("id", session.number)
                $0.field("peer", session.peerName)
                $0.field("status", rejection.status)
                $0.field("reason", rejection.reason)
            }
            await refuse(UInt16(rejection.status), rejection.reason, fields(of: rejection), on: socket, reactor)
            return nil
        case .upgrade(let acceptance):
            acceptance.appendResponse(into: &reactor.staging)
            socket.send(&reactor.staging)
            buffer.consume(size)
            return WebSocketUpgrade(deflate: acceptance.deflate, early: buffer.array)
        }
    }

    private static func upgradeRequest(_ head: RequestHead, _ bytes: Span<UInt8>) -> UpgradeRequest {
        var request = UpgradeRequest(method: text(head.methodRange, bytes), httpMinorVersion: Int(head.minorVersion))
        for field in head.fields {
            let value = text(field.value, bytes)
            switch field.id {
            case .connection: request.connection.append(value)
            case .upgrade: request.upgrade.append(value)
            case .secWebSocketVersion: request.version.append(value)
            case .secWebSocketKey: request.key.append(value)
            case .secWebSocketProtocol: request.protocols.append(value)
            case .secWebSocketExtensions: request.extensions.append(value)
            default: break
            }
        }
        return request
    }

    private static func text(_ range: Range<Int>, _ bytes: Span<UInt8>) -> String {
        bytes.extracting(range).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }

    /// The rejection's lines as fields. Connection is left out: the answer names its own.
    private static func fields(of rejection: UpgradeRequest.Rejection) -> [(name: String, value: String)] {
        rejection.headerLines.split(separator: "\r\n").compactMap { line in
            guard let colon = line.firstRange(of: ": ") else { return nil }
            let name = String(line.prefix(upTo: colon.lowerBound))
            let value = String(line.suffix(from: colon.upperBound))
            return name == "Connection" ? nil : (name, value)
        }
    }

    /// Sends a short answer and closes without destroying it: the peer's unread bytes are taken first.
    private static func refuse(
        _ status: UInt16, _ body: String, _ extra: [(name: String, value: String)] = [], on socket: Socket,
        _ reactor: Reactor
    ) async {
        ErrorResponse.append(status: status, body: body, extra: extra, connectionClose: true, into: &reactor.staging)
        socket.send(&reactor.staging)
        let deadline = Deadline { socket.close(IOError(.timedOut, "close")) }
        reactor.set(deadline, after: closeTimeout)
        defer { reactor.remove(deadline) }
        do throws(IOError) {
            try await socket.flush()
            socket.shutdownWrite()
            var reads = 0
            while true {
                if let count = try socket.receive(into: reactor.scratch) {
                    if count == 0 { break }
                    reads += 1
                    // A peer that sends without end must not keep the deadline, or anybody else, from their turn.
                    if reads.isMultiple(of: 16) { await Task.yield() }
                } else {
                    await socket.readable()
                }
            }
        } catch {}
        socket.close()
    }
}
