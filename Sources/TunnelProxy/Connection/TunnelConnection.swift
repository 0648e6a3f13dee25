internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// One connection of cloudflared: the WebSocket upgrade, the inner TLS handshake, then the protocol that ALPN chose.
final class TunnelConnection {
    /// How far it has come, with what there is to end then.
    private enum Phase {
        case upgrading
        case shakingHands(TunnelStream)
        case serving(TunnelStream, any RequestServer)
        case over
    }

    private let worker: Worker
    private let upstreams: UpstreamPools
    private let room: WaitingRoom
    private let socket: Socket
    private let peer: SocketAddress?
    /// Names this connection in the log.
    private let number: UInt64
    private var phase = Phase.over
    /// Where it waits, until its inner handshake is complete.
    private var place: WaitingRoom.Place?
    /// It is one of the WebSockets that are counted.
    private var isCounted = false
    /// No request has begun on it.
    private var isNewcomer = true
    /// Others came while it let us wait.
    private var isCrowdedOut = false
    /// Not once the last requests were taken: who completes a handshake then could begin one that nobody waits for.
    private var takesRequests = true
    /// The proxy ends, and this connection with it.
    private var isEnding = false
    /// What a peer that broke the rules may still have had on its way.
    private static let maxDropped = 256 * 1024
    /// A far side that takes nothing more must not hold up the end.
    private var lastDeadline: Deadline?
    private static let endTimeout: UInt64 = 1_000_000_000

    init(
        _ socket: Socket, peer: SocketAddress?, on worker: Worker, _ upstreams: UpstreamPools, _ room: WaitingRoom
    ) {
        (self.socket, self.peer, self.worker, self.upstreams) = (socket, peer, worker, upstreams)
        self.room = room
        number = worker.shared.connectionBegan()
    }

    /// Serves the connection to its end.
    func serve() async {
        if let (stream, server) = await establish() { await serve(stream, server) }
        if case .shakingHands(let stream) = phase { stream.cut() }
        if case .serving(let stream, let server) = phase {
            server.close()
            stream.cut()
        }
        countClose()
        phase = .over
        wait(for: nil)
        giveCountBack()
        settle()
        upstreams.closeBound(of: number)
        socket.close()
        worker.shared.connectionEnded()
    }

    /// Becomes a WebSocket and shakes hands inside. Its frame is the largest there is, and gone while requests are served.
    ///
    /// - Returns: `nil` when the connection is over.
    private func establish() async -> (TunnelStream, any RequestServer)? {
        phase = .upgrading
        wait(for: .upgrade)
        let upgrade = await WebSocketUpgrade.receive(on: socket, worker, room, number: number, peer: peerName)
        guard let upgrade else { return nil }
        isCounted = true
        worker.metrics.count(.tunnel)
        worker.metrics.saw(.connection, at: worker.reactor.now)
        guard !isEnding, !isCrowdedOut, let stream = openStream(upgrade) else { return nil }
        phase = .shakingHands(stream)
        wait(for: .handshake)
        stream.start(early: upgrade.early)
        // Its tunnel may have been taken out meanwhile.
        guard await shakeHands(stream), takesRequests, worker.snapshot.holds(tunnel: stream.tunnelNumber) else {
            await stream.close(lastWord)
            return nil
        }
        wait(for: nil)
        return (stream, await chooseServer(stream))
    }

    /// The tunnels of another snapshot are in force: one that is none of them gets no more requests.
    func adopt(_ snapshot: ProxySnapshot) {
        guard case .serving(let stream, let server) = phase, !snapshot.holds(tunnel: stream.tunnelNumber) else {
            return
        }
        server.takeNoMoreRequests()
    }

    /// By ALPN; a client that offered nothing there may begin with HTTP/2 all the same (RFC 9113 §3.3).
    private func chooseServer(_ stream: TunnelStream) async -> any RequestServer {
        let reader = RequestReader(stream, on: worker)
        if stream.applicationProtocol != ApplicationProtocol.http2.rawValue {
            let server = serveHTTP1(stream, reader)
            let snapshot = worker.snapshot
            guard stream.applicationProtocol == nil, snapshot.configuration.tls.alpn.contains(.http2),
                await reader.startsHTTP2(
                    timeout: snapshot.headerTimeout, idleTimeout: snapshot.keepAliveTimeout),
                takesRequests
            else { return server }
        }
        return serveHTTP2(stream, reader)
    }

    // Neither is inlined: a task keeps memory for the largest frame that it ever had.

    @inline(never)
    private func serveHTTP1(_ stream: TunnelStream, _ reader: RequestReader) -> HTTP1Server {
        let server = HTTP1Server(
            reader, Exchange(on: worker, upstreams, tunnel: stream.tunnelNumber), number: number,
            clientAddress: clientAddress, on: worker)
        server.onFirstRequest = { [unowned self] in settle() }
        phase = .serving(stream, server)
        return server
    }

    @inline(never)
    private func serveHTTP2(_ stream: TunnelStream, _ reader: RequestReader) -> HTTP2Server {
        let server = HTTP2Server(
            stream, received: reader.takeInput(), upstreams, tunnel: stream.tunnelNumber, number: number,
            clientAddress: clientAddress, on: worker)
        server.onFirstRequest = { [unowned self] in settle() }
        phase = .serving(stream, server)
        return server
    }

    private func serve(_ stream: TunnelStream, _ server: any RequestServer) async {
        switch await server.serve() {
        case .close where stream.end == .lost: break
        case .close: await stream.close(lastWord)
        case .refused: await stream.close(lastWord, dropping: TunnelConnection.maxDropped)
        case .cut: await stream.abort(isEnding ? .goingAway : nil)
        }
    }

    /// What the WebSocket is closed with when nothing went wrong.
    private var lastWord: CloseCode { isEnding || worker.shared.isDraining ? .goingAway : .normal }

    // MARK: Waiting

    private func wait(for stage: WaitingRoom.Stage?) {
        if let place { room.leave(place) }
        place = nil
        if let stage { place = room.enter(self, stage) }
    }

    /// Whether it waits for its peer. While another thread makes the signature of its handshake it is we who let it wait,
    /// and what that has cost is not thrown away; nor when the handshake is complete and its task has not seen it yet.
    var isHolding: Bool {
        if case .shakingHands(let stream) = phase { stream.signing == nil && !stream.isHandshakeComplete } else { true }
    }

    /// Ends at once and without a word, because others have come and this one has said nothing for the longest time.
    ///
    /// - Parameter handsOverPlace: whether its place among the WebSockets has another owner from now on.
    func crowdOut(handsOverPlace: Bool) {
        guard !isCrowdedOut else { return }
        isCrowdedOut = true
        // Now, and not when its task has run: somebody needs it.
        if handsOverPlace { isCounted = false } else { giveCountBack() }
        if case .shakingHands(let stream) = phase { stream.cut() }
        socket.close()
    }

    private func settle() {
        if isNewcomer { worker.shared.newcomerSettled() }
        isNewcomer = false
    }

    private func giveCountBack() {
        if isCounted { worker.shared.tunnelEnded() }
        isCounted = false
    }

    // MARK: Ending

    /// The requests that are under way are the last ones, and nobody would wait for another.
    func takeNoMoreRequests() {
        takesRequests = false
        if case .serving(_, let server) = phase { server.refuseRequests() }
    }

    func drainBegins() {
        if case .serving(_, let server) = phase { server.drainBegins() }
    }

    /// Ends the connection with 1001: now when it is between requests, else when its exchange has noticed.
    func endNow() {
        guard !isEnding else { return }
        (isEnding, takesRequests) = (true, false)
        switch phase {
        case .upgrading: return socket.close()
        case .shakingHands(let stream): stream.wake()
        case .serving(_, let server): server.endNow()
        case .over: return
        }
        let deadline = Deadline(on: worker.reactor) { [unowned self] in cut() }
        lastDeadline = deadline
        deadline.set(after: TunnelConnection.endTimeout)
    }

    /// Closes the connection under everything; each wait on it ends with an error.
    func cut() {
        endNow()
        switch phase {
        case .shakingHands(let stream), .serving(let stream, _): stream.cut()
        case .upgrading, .over: break
        }
        socket.close()
    }

    private var peerName: String { peer.map { "\($0)" } ?? "unknown" }

    private var clientAddress: [UInt8] {
        if case .ip(let ip, _) = peer { Array("\(ip)".utf8) } else { [] }
    }

    private func countClose() {
        switch phase {
        case .shakingHands(let stream), .serving(let stream, _):
            worker.metrics.count(.close(CloseKind(stream.peerCloseCode?.rawValue)))
        case .upgrading, .over: break
        }
    }

    // MARK: TLS

    @inline(never)
    private func openStream(_ upgrade: WebSocketUpgrade) -> TunnelStream? {
        let snapshot = worker.snapshot
        let websocket = snapshot.configuration.webSocket
        let engine: TLSEngine
        do throws(TLSError) {
            switch worker.shared.identities.door {
            case .one(let credentials):
                let context = credentials.current
                engine = try TLSEngine(server: context, pausesBeforeSigning: context.isSigningExpensive)
            case .several(let choice): engine = try TLSEngine(choice: choice, pausesBeforeSigning: true)
            }
        } catch {
            worker.log(.error, "tls session failed") { $0.field("error", error.description) }
            return nil
        }
        let settings = TunnelStream.Settings(
            highWater: snapshot.configuration.limits.bufferSize, pingInterval: websocket.pingInterval.nanoseconds,
            idleTimeout: websocket.idleTimeout.nanoseconds, maxFramePayload: websocket.maxFrameSize)
        let deflate = upgrade.deflate.map { PerMessageDeflate(role: .server, parameters: $0) }
        return TunnelStream(
            socket, on: worker.reactor, engine: engine, deflate: deflate, settings: settings,
            metrics: worker.metrics)
    }

    /// Waits for the inner handshake; the log says why when it fails.
    @inline(never)
    private func shakeHands(_ stream: TunnelStream) async -> Bool {
        var isOverdue = false
        let deadline = Deadline(on: worker.reactor) {
            isOverdue = true
            stream.wake()
        }
        deadline.set(after: worker.snapshot.handshakeTimeout)
        while !stream.isHandshakeComplete && stream.end == nil && !isOverdue && !isEnding { await stream.handshake() }
        deadline.cancel()
        switch noteHandshake(stream, isOverdue: isOverdue) {
        case .complete: return true
        case .overdue: await stream.close(.policyViolation)
        case .failed: break
        }
        return false
    }

    private enum Handshake {
        case complete
        case failed
        /// Its time has passed, and nobody has ended the connection.
        case overdue
    }

    /// Counts and logs what came of it. Not inlined, or the task would keep the memory for this.
    @inline(never)
    private func noteHandshake(_ stream: TunnelStream, isOverdue: Bool) -> Handshake {
        if stream.isHandshakeComplete {
            let kind = HandshakeKind(
                version: stream.tlsVersion, cipher: stream.cipher, alpn: stream.applicationProtocol,
                isResumed: stream.isResumed)
            worker.metrics.count(.handshake(kind))
            worker.log(.debug, "tls handshake complete") {
                $0.field("id", number)
                $0.field("version", stream.tlsVersion)
                $0.field("cipher", stream.cipher)
                $0.field("resumed", stream.isResumed)
                $0.field("alpn", stream.applicationProtocol ?? "")
            }
            return .complete
        }
        if isEnding { return .failed }
        if isCrowdedOut {
            worker.metrics.count(.handshakeFailure(.dropped))
            worker.log(.debug, "connection dropped for another one") { $0.field("id", number) }
            return .failed
        }
        if stream.end == .closed, !stream.isHandshakeBegun {
            // A health check: whoever agreed on a WebSocket and closed it in order has no failure to report.
            worker.log(.debug, "closed before a tls handshake") {
                $0.field("id", number)
                $0.field("peer", peerName)
            }
            return .failed
        }
        worker.metrics.count(.handshakeFailure(failure(of: stream, isOverdue: isOverdue)))
        logFailure(stream, isOverdue: isOverdue)
        return isOverdue ? .overdue : .failed
    }

    private func failure(of stream: TunnelStream, isOverdue: Bool) -> HandshakeFailure {
        if let error = stream.handshakeError { return error.alert.map { HandshakeFailure(alert: $0.value) } ?? .local }
        return switch stream.end {
        case _ where isOverdue: .timeout
        case .failed: .webSocket
        case .idle: .idle
        default: .closed
        }
    }

    private func logFailure(_ stream: TunnelStream, isOverdue: Bool) {
        let error = stream.handshakeError
        let reason =
            switch stream.end {
            case _ where error?.alert != nil: error?.alert?.name ?? ""
            case _ where error != nil: error?.description ?? ""
            case _ where isOverdue: "timeout"
            case .failed(let words): words
            case .idle: "idle"
            default: "connection closed by the peer"
            }
        worker.log(.warn, "tls handshake failed") {
            $0.field("id", number)
            $0.field("peer", peerName)
            $0.field("reason", reason)
            if let error, let alert = error.alert {
                $0.field("alert_from", alert.isFromPeer ? "peer" : "proxy")
                $0.field("detail", error.reason)
            }
        }
    }
}
