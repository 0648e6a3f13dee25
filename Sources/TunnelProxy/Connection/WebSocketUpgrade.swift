internal import TunnelCore
internal import TunnelIO

/// The outer upgrade: a plain HTTP/1.1 request that becomes the WebSocket (RFC 6455 §4.2).
struct WebSocketUpgrade {
    let deflate: DeflateParameters?
    /// Bytes that came behind the request.
    let early: [UInt8]

    /// How long a connection that was refused may take to go.
    private static let closeTimeout: UInt64 = 2_000_000_000

    /// Waits for the request, reads it and responds.
    ///
    /// - Returns: `nil` after any response but 101, and when nothing came in time. Otherwise the connection has a place
    ///   among the WebSockets, which is the caller's to give back.
    static func receive(
        on socket: Socket, _ worker: Worker, _ room: WaitingRoom, number: UInt64, peer: String
    ) async -> WebSocketUpgrade? {
        // One for all of it: a first byte that comes late leaves no more time for the others.
        let deadline = Deadline(on: worker.reactor) { socket.close(IOError(.timedOut, "upgrade")) }
        deadline.set(after: worker.snapshot.upgradeTimeout)
        // The peer has begun to ask, so that it takes what we say for a response. A refusal needs no more than that.
        while !socket.hasInput { await socket.readable() }
        if !room.hasPlace {
            deadline.cancel()
            await refuse(tooMany(worker, number: number), on: socket, worker.reactor)
            return nil
        }
        let reader = RequestReader(socket, on: worker)
        let outcome = await reader.nextHead(
            worker.snapshot.upgradeLimits, timeout: worker.snapshot.upgradeTimeout, idleTimeout: 0)
        deadline.cancel()
        let answer = answer(outcome, reader, on: socket, worker, room, number: number, peer: peer)
        reader.close()
        switch answer {
        case .upgraded(let upgrade): return upgrade
        case .refuse(let response): await refuse(response, on: socket, worker.reactor)
        case .none: break
        }
        return nil
    }

    private enum Answer {
        /// It has been sent.
        case upgraded(WebSocketUpgrade)
        indirect case refuse(OwnResponse)
        case none
    }

    /// What follows from what came. Not inlined, as also the rest: a task keeps memory for the largest frame that it ever had.
    @inline(never)
    private static func answer(
        _ outcome: RequestReader.Outcome, _ reader: RequestReader, on socket: Socket, _ worker: Worker,
        _ room: WaitingRoom, number: UInt64, peer: String
    ) -> Answer {
        switch outcome {
        case .head(let size):
            let request = reader.input.withBytes { UpgradeRequest(reader.head, in: $0) }
            reader.consume(size)
            switch decide(request, worker, room, number: number, peer: peer) {
            case .upgrade(let acceptance):
                acceptance.appendResponse(into: &worker.reactor.staging)
                // A few hundred bytes into a socket that has sent nothing yet.
                _ = socket.send(&worker.reactor.staging)
                return .upgraded(WebSocketUpgrade(deflate: acceptance.deflate, early: reader.input.array))
            case .refuse(let response): return .refuse(response)
            }
        case .malformed(let error):
            if error.status == 431 { worker.metrics.count(.limit(.headSize)) }
            worker.log(.warn, "bad upgrade request") {
                $0.field("id", number)
                $0.field("peer", peer)
                $0.field("status", Int(error.status))
                $0.field("reason", error.reason)
            }
            return .refuse(OwnResponse(status: error.status, body: "\(ErrorResponse.reasonPhrase(error.status))"))
        case .overdue, .idle, .ended:
            worker.log(.debug, "connection ended before its upgrade") { $0.field("id", number) }
            return .none
        }
    }

    private enum Decision {
        case upgrade(UpgradeRequest.Acceptance)
        case refuse(OwnResponse)
    }

    private static func decide(
        _ request: UpgradeRequest, _ worker: Worker, _ room: WaitingRoom, number: UInt64, peer: String
    ) -> Decision {
        let shared = worker.shared
        if shared.isDraining {
            return .refuse(OwnResponse(status: 503, body: "The tunnel proxy is shutting down", fields: retry))
        }
        let websocket = worker.snapshot.configuration.webSocket
        let decision = request.evaluate(
            subprotocol: websocket.subprotocol.isEmpty ? nil : websocket.subprotocol,
            deflate: websocket.compression ? DeflateParameters() : nil)
        switch decision {
        case .reject(let rejection):
            worker.log(.info, "not a websocket upgrade") {
                $0.field("id", number)
                $0.field("peer", peer)
                $0.field("status", rejection.status)
                $0.field("reason", rejection.reason)
            }
            return .refuse(
                OwnResponse(
                    status: UInt16(rejection.status), body: rejection.reason, fields: rejection.fields))
        case .upgrade(let acceptance):
            return room.takePlace() ? .upgrade(acceptance) : .refuse(tooMany(worker, number: number))
        }
    }

    private static let retry = [(name: "Retry-After", value: "1")]

    @inline(never)
    private static func tooMany(_ worker: Worker, number: UInt64) -> OwnResponse {
        worker.metrics.count(.limit(.maxConnections))
        worker.log(.warn, "too many connections") { $0.field("id", number) }
        return OwnResponse(status: 503, body: "Too many connections", fields: retry)
    }

    /// Sends a short response and closes without destroying it.
    @inline(never)
    private static func refuse(_ response: OwnResponse, on socket: Socket, _ reactor: Reactor) async {
        ErrorResponse.append(
            status: response.status, body: response.body, extra: response.fields, connectionClose: true,
            into: &reactor.staging)
        _ = socket.send(&reactor.staging)
        await socket.closeInOrder(within: closeTimeout)
    }
}
