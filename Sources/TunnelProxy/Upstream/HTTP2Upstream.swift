internal import TunnelCore
internal import TunnelIO

/// One HTTP/2 connection to an upstream (RFC 9113), shared by the exchanges of a loop: each has a stream, an ``HTTP2Client``.
///
/// One task reads, always: what can wait unread is bound by the windows of the streams, which open as their exchanges take
/// bytes. What the exchanges of a turn gather leaves at its end (HTTP2Upstream+Sending.swift).
final class HTTP2Upstream {
    private enum Life {
        /// The server's settings have not come.
        case starting
        case open
        /// It takes no more requests, and ends with the last.
        case retired
        case gone
    }

    let connection: ClientConnection
    let worker: Worker
    /// By what it was found good; see `ProxySnapshot.generation(of:)`.
    let generation: UInt64
    var core: HTTP2Connection
    private weak var group: HTTP2Group?

    private var life = Life.starting
    private var startError: IOError?
    private var startWaiter: UnsafeContinuation<Void, Never>?
    /// Received and not taken. Holds memory only while it holds bytes.
    private var input = ByteBuffer()
    /// By the number of its slot in `core`.
    private var clients: [HTTP2Client?] = []
    /// Requests that have it, also those that have not been sent yet.
    private(set) var attached = 0
    private var idleTimeout: UInt64
    private var idleSince: UInt64
    private lazy var clock = Deadline(on: worker.reactor) { [unowned self] in checkTime() }

    /// When the last byte came, and since when a PING of ours is on its way; 0 for none.
    private var lastReceived: UInt64
    private var pinged: UInt64 = 0
    /// When it last said that it did nothing with a request.
    private(set) var refused: UInt64 = 0

    // HTTP2Upstream+Sending.swift
    var sending = Sending()

    /// Events of one turn.
    private static let maxEvents = 64
    /// Turns of reading what a connection that failed had received.
    static let lastTurns = 64
    /// Streams while the server has not said how many it takes, and at most.
    private static let usualStreams = 100
    private static let maxStreams = 1_000
    /// After such a silence a request asks whether anybody is there, and after this long without an answer the next ones go
    /// elsewhere. Those that wait on it go on waiting: a server may be busy for long.
    private static let silence: UInt64 = 5_000_000_000
    private static let patience: UInt64 = 2_000_000_000
    private static let leastIdle: UInt64 = 100_000_000

    init(
        _ connection: ClientConnection, _ snapshot: ProxySnapshot, generation: UInt64, in group: HTTP2Group,
        on worker: Worker
    ) {
        (self.connection, self.worker, self.generation, self.group) = (connection, worker, generation, group)
        idleTimeout = snapshot.poolIdleTimeout
        core = HTTP2Connection(isServer: false, limits: HTTP2Upstream.limits(snapshot), now: worker.reactor.now)
        (idleSince, lastReceived) = (worker.reactor.now, worker.reactor.now)
    }

    /// An upstream is trusted to send what it likes as often as it likes, as by HTTP/1.1; one turn takes a bounded part of it.
    /// And it may take its time: the exchanges' own deadlines are what there is.
    private static func limits(_ snapshot: ProxySnapshot) -> HTTP2Limits {
        var limits = HTTP2Limits()
        limits.headers.maxListSize = snapshot.headLimits.maxBytes
        limits.headers.maxFields = snapshot.headLimits.maxFields
        limits.streamWindow = min(snapshot.configuration.limits.bufferSize, 1 << 30)
        limits.maxReplyBytes = 1 << 20
        limits.headerTimeout = max(1_000_000_000, snapshot.headerTimeout)
        limits.prefaceTimeout = HTTP2Upstream.never
        limits.settingsTimeout = HTTP2Upstream.never
        limits.windowTimeout = HTTP2Upstream.never
        for abuse in HTTP2Abuse.allCases where abuse != .controlQueue {
            limits[abuse] = HTTP2Rate(burst: 1_000_000, perSecond: 1_000_000)
        }
        return limits
    }
    private static let never: UInt64 = 1 << 60

    // MARK: Its life

    /// Says the preface, and waits for the server's settings: before them nobody knows how many requests it takes.
    func start(within timeout: UInt64, _ cancellation: Cancellation) async throws(IOError) {
        pump()
        worker.reactor.spawn(with: self) { upstream in await upstream.run() }
        let deadline = Deadline(on: worker.reactor) { [unowned self] in end(IOError(.timedOut, "http2 settings")) }
        deadline.set(after: timeout)
        cancellation.arm { [unowned self] in end(IOError(.closed, "http2 settings")) }
        if case .starting = life { await withUnsafeContinuation { startWaiter = $0 } }
        deadline.cancel()
        cancellation.disarm()
        if let startError {
            end(startError)
            throw startError
        }
    }

    private func started(_ error: IOError?) {
        guard case .starting = life, startError == nil else { return }
        if error == nil {
            life = .open
            idleSince = worker.reactor.now
            // Whoever it was opened for may have no use for it.
            arm()
        }
        startError = error
        startWaiter?.resume()
        startWaiter = nil
    }

    var isGone: Bool { if case .gone = life { true } else { false } }
    /// It has not ended, nor is it about to.
    var takesRequests: Bool { if case .open = life { true } else { false } }

    /// Takes no more requests; those under way finish.
    func retire() {
        guard case .open = life else { return }
        life = .retired
        group?.remove(self)
        if attached == 0 { endInOrder() }
    }

    /// Its upstream is configured no more: it serves those who wait for it, and is not kept for others.
    func endWhenIdle() { idleTimeout = 0 }

    private func endInOrder() {
        core.finishDraining()
        pump()
        end(IOError(.closed, "http2 connection"))
    }

    /// Ends it; what is under way fails.
    func end(_ error: IOError) {
        if isGone { return }
        started(error)
        life = .gone
        clock.cancel()
        for case let client? in clients { client.connectionEnded(error) }
        connection.close(error)
        group?.remove(self)
    }

    /// The connection cannot go on for what the upstream did.
    func fail(_ error: HTTP2Error) {
        if isGone { return }
        core.fail(error)
        pump()
        // Of one that never began its dial tells.
        if takesRequests || attached > 0 {
            worker.log(.warn, "http2 connection to upstream failed") {
                $0.field("upstream", "\(connection.address)")
                $0.field("code", "\(error.code)")
                $0.field("reason", error.reason)
            }
        }
        for case let client? in clients { client.fail(.malformed(HTTPError(status: 502, reason: error.reason))) }
        end(IOError(.tls, "http2", detail: error.reason))
    }

    // MARK: Requests

    var allowsWebSocket: Bool { core.peerAllowsConnectProtocol }

    /// Requests that it takes at once.
    var capacity: Int { min(core.maxOwnStreams ?? HTTP2Upstream.usualStreams, HTTP2Upstream.maxStreams) }

    /// Whether another request may go out on it.
    func hasPlace() -> Bool {
        guard case .open = life, attached < capacity, core.freeStreams > attached - core.streamCount else {
            return false
        }
        let now = worker.reactor.now
        if attached == 0 {
            // Its end may have come, and most requests cannot be sent twice.
            connection.ask()
            _ = read()
            guard case .open = life, attached < capacity, core.freeStreams > 0 else { return false }
        } else if pinged > 0 {
            return now &- pinged < HTTP2Upstream.patience
        } else if now &- lastReceived >= HTTP2Upstream.silence {
            pinged = now
            core.sendPing(now)
            schedulePump()
        }
        return true
    }

    func attach(_ snapshot: ProxySnapshot) {
        attached += 1
        idleTimeout = snapshot.poolIdleTimeout
        if attached == 1 {
            worker.metrics.count(.activeConnection)
            lastReceived = worker.reactor.now
        }
        connection.exchanges += 1
    }

    /// Opens the client's stream with `head`, as it was written for HTTP/1.1.
    func open(
        _ client: HTTP2Client, _ head: Span<UInt8>, isWebSocket: Bool, endsStream: Bool,
        from original: borrowing RequestHead, _ bytes: Span<UInt8>
    ) -> UInt32? {
        let isSecure = connection.tlsVersion != nil
        guard
            let id = core.sendRequest(
                http1: head, scheme: isSecure ? "https" : "http", asWebSocket: isWebSocket, endsStream: endsStream,
                from: original, bytes)
        else { return nil }
        if let slot = core.slot(of: id) {
            while clients.count <= slot { clients.append(nil) }
            clients[slot] = client
        }
        schedulePump()
        return id
    }

    func wakeSenders() { for case let client? in clients { client.wakeSender() } }

    func find(_ id: UInt32) -> HTTP2Client? { core.slot(of: id).flatMap { clients[$0] } }

    /// The exchange of a stream is over; one that is not complete is cancelled.
    func detach(_ id: UInt32) {
        if id > 0 {
            if let slot = core.slot(of: id) { clients[slot] = nil }
            core.reset(id, .cancel)
            core.release(id)
            schedulePump()
        }
        attached -= 1
        if attached == 0 {
            worker.metrics.discount(.activeConnection)
            idleSince = worker.reactor.now
            pinged = 0
            switch life {
            case .retired: endInOrder()
            case .open where idleTimeout == 0: retire()
            default: arm()
            }
        }
        group?.wakeOne()
    }

    // MARK: Reading

    private func run() async {
        while !isGone {
            // Whoever sends much goes behind everybody else on this loop.
            if read() { await Task.yield() } else if !isGone { await connection.readable() }
        }
        worker.reactor.buffers.give(&input)
    }

    /// Takes what has come, up to the turn's bound.
    ///
    /// - Returns: whether there is more.
    func read() -> Bool {
        var events = 0
        while !isGone {
            if !input.isEmpty {
                let isDone = takeEvents(&events)
                if isGone { return false }
                if !isDone { return true }
            }
            if input.capacity == 0 { input = worker.reactor.buffers.take(atLeast: 1) }
            let received: Received
            do throws(IOError) { received = try connection.receive(into: &input, limit: BufferPool.bufferSize) } catch {
                end(error)
                return false
            }
            if input.isEmpty { worker.reactor.buffers.give(&input) }
            switch received {
            case .bytes:
                (lastReceived, pinged) = (worker.reactor.now, 0)
                // Frames that are no events take their time as well.
                events += 1
            case .nothing: return false
            case .end: end(IOError(.endOfStream, "read"))
            }
        }
        return false
    }

    /// - Returns: `false` where the turn's bound was reached, and not the end of what is there.
    private func takeEvents(_ events: inout Int) -> Bool {
        let now = worker.reactor.now
        var position = 0
        var isDone = false
        var failure: HTTP2Error?
        input.withBytes { bytes in
            do throws(HTTP2Error) {
                while events < HTTP2Upstream.maxEvents, !isGone {
                    let event = try core.receive(bytes, at: &position, now: now)
                    if event == .needMore {
                        isDone = true
                        break
                    }
                    events += 1
                    take(event, bytes)
                }
            } catch { failure = error }
        }
        input.consume(position)
        if input.isEmpty { worker.reactor.buffers.give(&input) }
        if let failure { fail(failure) }
        if core.controlBytes > 0 || core.hasDataToSend { schedulePump() }
        if core.deadline != nil { arm() }
        return isDone
    }

    private func take(_ event: HTTP2Event, _ bytes: Span<UInt8>) {
        switch event {
        case .settings:
            started(nil)
            group?.wakeAll()
        case .response(let id, let endsStream): find(id)?.takeHead(endsStream)
        case .data(let id, let range, let endsStream): find(id)?.takeBody(bytes.extracting(range), endsStream)
        case .trailers(let id): find(id)?.takeTrailers()
        case .reset(let id, let code, let isByPeer):
            if isByPeer, code == .refusedStream { refused = worker.reactor.now }
            if isByPeer, code == .http11Required { group?.requireHTTP1(generation) }
            find(id)?.reset(code, isByPeer ? nil : core.streamError)
        case .goAway(let last, _):
            for case let client? in clients where client.id > last {
                client.refuse(IOError(.closed, "http2 stream", detail: "not processed, by GOAWAY"))
            }
            started(IOError(.closed, "http2 settings"))
            retire()
        case .needMore, .request, .tooLarge, .pong: break
        }
    }

    // MARK: Time

    private func arm() {
        if isGone { return }
        let now = worker.reactor.now
        var due = core.deadline ?? .max
        if attached == 0, case .open = life { due = min(due, idleSince &+ idleTime) }
        if due < now &+ HTTP2Upstream.never / 2 { clock.set(after: due > now ? due - now : 0) } else { clock.cancel() }
    }

    /// Also where none is kept, one that has just been opened waits for its first request.
    private var idleTime: UInt64 { min(max(idleTimeout, HTTP2Upstream.leastIdle), HTTP2Upstream.never) }

    private func checkTime() {
        let now = worker.reactor.now
        do throws(HTTP2Error) {
            while let event = try core.expire(now: now) {
                if case .reset(let id, let code, _) = event { find(id)?.reset(code, core.streamError) }
            }
        } catch { return fail(error) }
        if attached == 0, now &- idleSince >= idleTime { return retire() }
        schedulePump()
        arm()
    }
}
