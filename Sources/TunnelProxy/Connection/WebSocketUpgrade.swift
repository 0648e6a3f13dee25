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
    /// - Returns: `nil` after any response but 101, and when nothing came.
    static func receive(
        from reader: RequestReader, on socket: Socket, _ worker: Worker, number: UInt64, peer: String
    ) async -> WebSocketUpgrade? {
        let snapshot = worker.snapshot
        defer { reader.close() }
        let outcome = await reader.nextHead(
            snapshot.headLimits, timeout: snapshot.headerTimeout, idleTimeout: snapshot.headerTimeout)
        switch outcome {
        case .head(let size):
            let request = reader.input.withBytes { upgradeRequest(reader.head, $0) }
            reader.consume(size)
            switch decide(request, worker, number: number, peer: peer) {
            case .upgrade(let acceptance):
                acceptance.appendResponse(into: &worker.reactor.staging)
                // A few hundred bytes into a socket that has sent nothing yet.
                _ = socket.send(&worker.reactor.staging)
                return WebSocketUpgrade(deflate: acceptance.deflate, early: reader.input.array)
            case .refuse(let response): await refuse(response, on: socket, worker.reactor)
            }
        case .malformed(let error):
            worker.log(.warn, "bad upgrade request") {
                $0.field("id", number)
                $0.field("peer", peer)
                $0.field("status", Int(error.status))
                $0.field("reason", error.reason)
            }
            await refuse(
                OwnResponse(status: error.status, body: "\(ErrorResponse.reasonPhrase(error.status))"), on: socket,
                worker.reactor)
        case .overdue, .idle, .ended:
            worker.log(.debug, "connection ended before its upgrade") { $0.field("id", number) }
        }
        return nil
    }

    private enum Decision {
        case upgrade(UpgradeRequest.Acceptance)
        case refuse(OwnResponse)
    }

    private static func decide(
        _ request: UpgradeRequest, _ worker: Worker, number: UInt64, peer: String
    ) -> Decision {
        let shared = worker.shared
        let configuration = shared.snapshot.configuration
        let retry = [(name: "Retry-After", value: "1")]
        if shared.isDraining {
            return .refuse(OwnResponse(status: 503, body: "The tunnel proxy is shutting down", fields: retry))
        }
        if shared.connections > configuration.limits.maxConnections {
            shared.log(.warn, "too many connections") { $0.field("id", number) }
            return .refuse(OwnResponse(status: 503, body: "Too many connections", fields: retry))
        }
        let websocket = configuration.webSocket
        let decision = request.evaluate(
            subprotocol: websocket.subprotocol.isEmpty ? nil : websocket.subprotocol,
            deflate: websocket.compression ? DeflateParameters() : nil)
        switch decision {
        case .reject(let rejection):
            shared.log(.info, "not a websocket upgrade") {
                $0.field("id", number)
                $0.field("peer", peer)
                $0.field("status", rejection.status)
                $0.field("reason", rejection.reason)
            }
            return .refuse(
                OwnResponse(
                    status: UInt16(rejection.status), body: rejection.reason, fields: fields(of: rejection)))
        case .upgrade(let acceptance): return .upgrade(acceptance)
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

    /// Sends a short response and closes without destroying it: the peer's unread bytes are taken first.
    private static func refuse(_ response: OwnResponse, on socket: Socket, _ reactor: Reactor) async {
        ErrorResponse.append(
            status: response.status, body: response.body, extra: response.fields, connectionClose: true,
            into: &reactor.staging)
        _ = socket.send(&reactor.staging)
        let deadline = Deadline(on: reactor) { socket.close(IOError(.timedOut, "close")) }
        deadline.set(after: closeTimeout)
        do throws(IOError) {
            try await socket.flush()
            socket.shutdownWrite()
            var reads = 0
            while true {
                if let count = try socket.receive(into: reactor.scratch) {
                    if count == 0 { break }
                    reads += 1
                    // A peer that sends without end must not keep the deadline, or anybody else, from their turn.
                    if reads.isMultiple(of: 4) { await Task.yield() }
                } else {
                    await socket.readable()
                }
            }
        } catch {}
        deadline.cancel()
        socket.close()
    }
}
