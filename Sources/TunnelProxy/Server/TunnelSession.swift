internal import Synchronization
internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// One connection from cloudflared: the WebSocket upgrade, the inner TLS handshake, then one request after another.
final class TunnelSession {
    let loop: ProxyLoop
    let reactor: Reactor
    let state: ProxyState
    /// Names this connection in the log.
    let number: UInt64
    private let socket: Socket
    private let peer: SocketAddress?
    private(set) var stream: TunnelStream?
    private var requests: UInt64 = 0
    private lazy var exchange = Exchange(self)
    private var isEnding = false

    private var deadlinePassed = false
    private lazy var deadline = Deadline { [unowned self] in
        deadlinePassed = true
        if let stream { stream.wake() } else { socket.close(IOError(.timedOut, "read")) }
    }

    /// Set once the proxy ends: a far side that takes nothing more must not hold it up.
    private var lastDeadline: Deadline?
    private static let endTimeout: UInt64 = 1_000_000_000

    init(_ socket: Socket, peer: SocketAddress?, on loop: ProxyLoop) {
        (self.socket, self.peer, self.loop) = (socket, peer, loop)
        reactor = loop.reactor
        state = loop.state
        number = state.lastConnection.add(1, ordering: .relaxed).newValue
    }

    /// Serves the connection to its end.
    func serve() async {
        defer {
            reactor.remove(deadline)
            if let lastDeadline { reactor.remove(lastDeadline) }
            stream?.cut()
            socket.close()
        }
        guard let upgrade = await WebSocketUpgrade.receive(on: socket, for: self) else { return }
        guard let stream = openStream(upgrade) else { return }
        guard await shakeHands(stream) else { return }
        await serveRequests(stream)
    }

    /// Ends the connection with 1001, now when it is between requests, else when its exchange notices.
    func endNow() {
        guard !isEnding else { return }
        isEnding = true
        exchange.cancel()
        stream?.wake()
        if stream == nil { return socket.close() }
        let deadline = Deadline { [unowned self] in
            socket.close(IOError(.timedOut, "shutdown"))
            stream?.wake()
        }
        lastDeadline = deadline
        reactor.set(deadline, after: TunnelSession.endTimeout)
    }

    /// Closes the connection under everything; each wait on it ends with an error.
    func cut() {
        endNow()
        stream?.cut()
        socket.close()
    }

    var peerName: String { peer.map { "\($0)" } ?? "unknown" }

    /// What `upstream.forwarded_headers` tells of the client: all that this proxy knows is who opened the connection.
    var forwardedFields: ForwardedFields {
        var address: [UInt8] = []
        if case .ip(let ip, _) = peer { address = Array("\(ip)".utf8) }
        return ForwardedFields(clientAddress: address, isSecure: true)
    }

    // MARK: TLS

    private func openStream(_ upgrade: WebSocketUpgrade) -> TunnelStream? {
        let snapshot = state.snapshot
        let websocket = snapshot.configuration.webSocket
        let engine: TLSEngine
        do throws(TLSError) { engine = try TLSEngine(server: state.credentials.current) } catch {
            state.log(.error, "tls session failed") { $0.field("error", error.description) }
            return nil
        }
        let settings = TunnelStream.Settings(
            // A head must fit below the mark, or it could never be completed.
            highWater: max(snapshot.configuration.limits.bufferSize, snapshot.headLimits.maxBytes + 1024),
            pingInterval: websocket.pingInterval.nanoseconds, idleTimeout: websocket.idleTimeout.nanoseconds,
            maxFramePayload: websocket.maxFrameSize)
        let deflate = upgrade.deflate.map { PerMessageDeflate(role: .server, parameters: $0) }
        let stream = TunnelStream(socket, on: reactor, engine: engine, deflate: deflate, settings: settings)
        self.stream = stream
        upgrade.early.withUnsafeBytes { stream.start(early: $0) }
        return stream
    }

    /// Waits for the inner handshake; says why when it fails.
    private func shakeHands(_ stream: TunnelStream) async -> Bool {
        reactor.set(deadline, after: state.snapshot.handshakeTimeout)
        while !stream.isHandshakeComplete && stream.end == nil && !deadlinePassed && !isEnding {
            await stream.handshake()
        }
        deadline.cancel()
        if stream.isHandshakeComplete {
            loop.metrics.handshakesSucceeded += 1
            if stream.isResumed { loop.metrics.handshakesResumed += 1 }
            state.log(.debug, "tls handshake complete") {
                $0.field("id", number)
                $0.field("version", stream.tlsVersion)
                $0.field("cipher", stream.cipher)
                $0.field("resumed", stream.isResumed)
                $0.field("alpn", stream.applicationProtocol ?? "")
            }
            return true
        }
        if isEnding { return await close(stream, .goingAway) }
        if stream.end == .closed, !stream.isHandshakeBegun {
            // A health check: whoever agreed on a WebSocket and closed it in order has no failure to report.
            state.log(.debug, "closed before a tls handshake") {
                $0.field("id", number)
                $0.field("peer", peerName)
            }
            return await close(stream, .normal)
        }
        loop.metrics.handshakesFailed += 1
        let error = stream.handshakeError
        state.log(.warn, "tls handshake failed") {
            $0.field("id", number)
            $0.field("peer", peerName)
            $0.field("reason", failureWords(error, stream.end))
            if let error, let alert = error.alert {
                $0.field("alert_from", alert.isFromPeer ? "peer" : "proxy")
                $0.field("detail", error.detail)
            }
        }
        return await close(stream, deadlinePassed ? .policyViolation : .normal)
    }

    private func failureWords(_ error: TLSError?, _ end: TunnelEnd?) -> String {
        if let alert = error?.alert { return alert.name }
        if let error { return error.description }
        if deadlinePassed { return "timeout" }
        switch end {
        case .failed(let words): return words
        case .idle: return "idle"
        default: return "connection closed by the peer"
        }
    }

    private func close(_ stream: TunnelStream, _ code: CloseCode) async -> Bool {
        await stream.close(code)
        return false
    }

    // MARK: Requests

    private func serveRequests(_ stream: TunnelStream) async {
        while stream.end == nil && !isEnding {
            guard let size = await readHead(stream) else { return }
            requests += 1
            switch await exchange.run(stream, headSize: size, number: requests) {
            case .keepAlive: continue
            case .close: return await stream.close(lastWord)
            case .cut: return await stream.abort(isEnding ? .goingAway : nil)
            }
        }
        if stream.end != .lost { await stream.close(lastWord) }
    }

    /// What the WebSocket is closed with when nothing went wrong.
    private var lastWord: CloseCode { isEnding || state.isDraining.load(ordering: .relaxed) ? .goingAway : .normal }

    /// Waits for a whole request head, which is left in `loop.requestHead`, its bytes at the front of the plaintext.
    ///
    /// - Returns: the size of the head; `nil` when the connection is over, after the answer that told why.
    private func readHead(_ stream: TunnelStream) async -> Int? {
        var snapshot = state.snapshot
        // Kept from one try to the next, because it remembers how far the head was searched.
        var partial: RequestHead?
        deadlinePassed = false
        var isHeadBegun = false
        while true {
            if !stream.plaintext.isEmpty {
                if !isHeadBegun {
                    isHeadBegun = true
                    // The time that a tunnel may be idle can end in the very turn in which the head begins.
                    deadlinePassed = false
                    snapshot = state.snapshot
                    reactor.set(deadline, after: snapshot.headerTimeout)
                }
                do throws(HTTPError) {
                    if let size = try parse(stream, &partial, snapshot.headLimits) {
                        deadline.cancel()
                        return size
                    }
                } catch {
                    deadline.cancel()
                    await refuse(stream, error)
                    return nil
                }
            } else if snapshot.keepAliveTimeout > 0 && !deadline.isSet && !deadlinePassed {
                reactor.set(deadline, after: snapshot.keepAliveTimeout)
            }
            if stream.end != nil || isEnding || (deadlinePassed && !isHeadBegun) {
                deadline.cancel()
                if stream.end != .lost { await stream.close(lastWord) }
                return nil
            }
            if deadlinePassed {
                await refuse(stream, HTTPError(status: 408, reason: "no complete head within header_timeout"))
                return nil
            }
            await stream.readable(beyond: stream.plaintext.count)
        }
    }

    private func parse(
        _ stream: TunnelStream, _ partial: inout RequestHead?, _ limits: HeadLimits
    ) throws(HTTPError) -> Int? {
        if partial != nil {
            let size = try stream.plaintext.withBytes { bytes throws(HTTPError) in
                try partial?.parse(bytes, limits: limits)
            }
            if size != nil, let whole = partial { loop.requestHead = whole }
            return size ?? nil
        }
        loop.requestHead.reset()
        let size = try stream.plaintext.withBytes { bytes throws(HTTPError) in
            try loop.requestHead.parse(bytes, limits: limits)
        }
        if size == nil {
            partial = loop.requestHead
            loop.requestHead = RequestHead()
        }
        return size
    }

    /// Answers a head that cannot be served and closes: what follows it has no certain start.
    private func refuse(_ stream: TunnelStream, _ error: HTTPError) async {
        state.log(.warn, "bad request") {
            $0.field("id", number)
            $0.field("status", Int(error.status))
            $0.field("reason", error.reason)
        }
        var answer = reactor.buffers.take()
        ErrorResponse.append(
            status: error.status, body: "Refused by the tunnel proxy: \(ErrorResponse.reasonPhrase(error.status))",
            connectionClose: true, into: &answer)
        stream.send(&answer)
        reactor.buffers.give(&answer)
        await stream.close(.normal)
    }
}
