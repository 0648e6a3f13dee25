internal import TunnelCore
internal import TunnelIO

/// The server's side of HTTP/2 on one connection (RFC 9113): reads frames, hands each request to a handler of its own as a
/// ``ServerStream``, and sends what these gather in turn.
///
/// The rules of the protocol are `HTTP2Connection`'s. Here is what it cannot know: bytes that came and bytes that go, tasks and
/// time. One task reads, always: what can wait unread is bound by the windows of the streams, which open as their exchanges
/// take bytes. What the exchanges of a turn gather leaves together at its end (HTTP2Server+Sending.swift). A stream holds its
/// place among `limits.max_requests_per_connection` until its response has gone, so whoever does not read his responses gets
/// no more of them.
final class HTTP2Server: RequestServer {
    private enum Life {
        case open
        /// No more requests; those that are under way finish. It is over when none is left and the peer was told which was
        /// the last.
        case draining(hasLast: Bool)
        /// What was under way has been ended.
        case ending
        /// The peer broke the rules, and was told so.
        case failed
        /// The connection's bytes are over.
        case gone
    }

    let worker: Worker
    let stream: any ByteStream
    private let upstreams: UpstreamPools
    /// Whose requests it serves, by its number.
    private let tunnel: Int
    /// Names the connection in the log.
    let connectionNumber: UInt64
    let clientAddress: [UInt8]
    var core: HTTP2Connection
    var snapshot: ProxySnapshot

    /// Called once, when the first request begins.
    var onFirstRequest: (() -> Void)?
    private var life = Life.open
    /// Received and not taken. Holds memory only while it holds bytes.
    private var input = ByteBuffer()
    /// By the number of its slot in `core`.
    private(set) var streams: [HTTP2ServerStream?] = []
    /// Without a request, each with a task that waits for one.
    private var parked: [HTTP2ServerStream] = []
    private var requestCount: UInt64 = 0
    /// Exchanges under way.
    private var running = 0
    private var lastOneWaiter: UnsafeContinuation<Void, Never>?
    private var seenStreamErrors = 0
    private var idleSince: UInt64
    private lazy var clock = Deadline(on: worker.reactor) { [unowned self] in checkTime() }
    /// When a client that is silent is told which stream was the last.
    private var lastWordDue: UInt64 = 0
    /// When `clock` comes up; `.max` for never.
    private var alarm = UInt64.max

    // HTTP2Server+Sending.swift
    var sending = Sending()

    /// Events of one turn; each costs at least a head.
    private static let maxEvents = 64
    /// So many bytes of a head count as one more: a byte of HPACK may stand for thousands.
    private static let headBytesPerEvent = 1024
    private static let maxParked = 64
    /// Kept by a connection that has had no request for so long.
    private static let maxParkedIdle = 1
    private static let tidyDelay: UInt64 = 2_000_000_000
    /// What a PING of ours says that asks whether the first GOAWAY has arrived.
    private static let drainPing: UInt64 = 0x6472_6169_6e69_6e67
    /// Who does not answer it is told which stream was the last all the same.
    private static let drainTimeout: UInt64 = 1_000_000_000

    init(
        _ stream: any ByteStream, received: consuming ByteBuffer, _ upstreams: UpstreamPools, tunnel: Int,
        number: UInt64, clientAddress: [UInt8], on worker: Worker
    ) {
        (self.stream, self.worker, self.upstreams, self.tunnel) = (stream, worker, upstreams, tunnel)
        (connectionNumber, self.clientAddress) = (number, clientAddress)
        input = received
        snapshot = worker.snapshot
        core = HTTP2Connection(isServer: true, limits: snapshot.http2Limits, now: worker.reactor.now)
        idleSince = worker.reactor.now
        // Who reads sees the end; and whoever waited for it before, until the preface said that this is HTTP/2, is gone.
        stream.onEnd = nil
    }

    // MARK: The connection

    func serve() async -> ServerOutcome {
        schedulePump()
        arm()
        // The others were told when that began.
        if worker.shared.isDraining { takeNoMoreRequests() }
        while isServing {
            // Whoever sends much goes behind everybody else on this loop.
            if read() { await Task.yield() } else if isServing { await stream.readable() }
        }
        if case .gone = life { endStreams() }
        if running > 0 { await withUnsafeContinuation { lastOneWaiter = $0 } }
        clock.cancel()
        pump()
        // Who is gone, or broke the rules, is not waited for.
        switch life {
        case .gone, .failed: break
        case .open, .draining, .ending: await sent()
        }
        for case let stream? in streams { stream.settle() }
        switch life {
        case .gone: return .cut
        case .failed: return sending.isFull ? .cut : .refused
        case .open, .draining, .ending: return .close
        }
    }

    private var isServing: Bool {
        switch life {
        case .open: true
        case .draining(let hasLast): !hasLast || core.streamCount > 0
        case .ending, .failed, .gone: false
        }
    }

    /// Those who wait with their requests may go elsewhere at once.
    func drainBegins() { takeNoMoreRequests() }

    func takeNoMoreRequests() {
        guard case .open = life else { return }
        life = .draining(hasLast: false)
        core.beginDraining()
        core.sendPing(HTTP2Server.drainPing)
        schedulePump()
        lastWordDue = worker.reactor.now &+ HTTP2Server.drainTimeout
        setAlarm(HTTP2Server.drainTimeout)
    }

    func refuseRequests() {
        takeNoMoreRequests()
        tellLast()
    }

    func endNow() {
        switch life {
        case .open, .draining: break
        case .ending, .failed, .gone: return
        }
        life = .ending
        core.finishDraining()
        for case let stream? in streams { stream.cancel() }
        stream.wake()
    }

    /// Nothing can be sent any more, also not what was gathered: its streams have dropped it.
    var isGone: Bool { if case .gone = life { true } else { false } }

    /// Its streams are told to end, because the proxy does.
    var isEnding: Bool { if case .ending = life { true } else { false } }

    func close() {
        worker.reactor.buffers.give(&input)
        for case let stream? in streams { stream.dismiss() }
        for stream in parked { stream.dismiss() }
        (streams, parked, sending.finished) = ([], [], [])
    }

    private func endStreams() { for case let stream? in streams { stream.connectionEnded() } }

    /// The connection cannot go on for what the peer did.
    func fail(_ error: HTTP2Error) {
        switch life {
        case .failed, .gone: return
        case .open, .draining, .ending: life = .failed
        }
        core.fail(error)
        if let abuse = core.abuse { worker.metrics.count(.http2Abuse(abuse)) }
        worker.log(.warn, "http2 connection failed") {
            $0.field("id", connectionNumber)
            $0.field("code", "\(error.code)")
            $0.field("reason", error.reason)
        }
        endStreams()
        stream.wake()
        schedulePump()
    }

    // MARK: Reading

    /// Takes what has come, up to the turn's bound.
    ///
    /// - Returns: whether there is more.
    private func read() -> Bool {
        var events = 0
        while isServing {
            if !input.isEmpty {
                let isDone = takeEvents(&events)
                if !isServing { return false }
                if !isDone { return true }
            }
            if input.capacity == 0, stream.ended == nil { input = worker.reactor.buffers.take(atLeast: 1) }
            let received: Received
            do throws(IOError) { received = try stream.receive(into: &input, limit: BufferPool.bufferSize) } catch {
                received = .end
            }
            if input.isEmpty { worker.reactor.buffers.give(&input) }
            switch received {
            case .bytes: continue
            case .nothing: return false
            case .end: life = .gone
            }
        }
        return false
    }

    /// - Returns: `false` where the turn's bound was reached, and not the end of what is there.
    private func takeEvents(_ events: inout Int) -> Bool {
        snapshot = worker.snapshot
        let now = worker.reactor.now
        var position = 0
        var isDone = false
        input.withBytes { bytes in
            do throws(HTTP2Error) {
                while isServing, events < HTTP2Server.maxEvents {
                    let event = try core.receive(bytes, at: &position, now: now)
                    if event == .needMore {
                        isDone = true
                        break
                    }
                    take(event, bytes)
                    events += cost(of: event)
                }
            } catch { fail(error) }
        }
        input.consume(position)
        if input.isEmpty { worker.reactor.buffers.give(&input) }
        noteStreamErrors()
        if core.controlBytes > 0 || core.hasDataToSend { schedulePump() }
        arm()
        return isDone
    }

    private func take(_ event: HTTP2Event, _ bytes: Span<UInt8>) {
        switch event {
        case .request(let id, let endsStream): begin(id, endsStream)
        case .tooLarge(let id, _): refuse(id)
        case .data(let id, let range, let endsStream): find(id)?.take(bytes.extracting(range), endsStream)
        case .trailers(let id): find(id)?.takeTrailers()
        // By the client, or because of what it sent. Those that do not move are found by `checkTime`.
        case .reset(let id, _, _): find(id)?.reset(.lost)
        case .pong(HTTP2Server.drainPing): tellLast()
        case .needMore, .settings, .response, .goAway, .pong: break
        }
    }

    func find(_ id: UInt32) -> HTTP2ServerStream? { core.slot(of: id).flatMap { streams[$0] } }

    /// Streams that were refused by the rules of the protocol, of which nobody else is told.
    private func noteStreamErrors() {
        guard core.streamErrorCount != seenStreamErrors, let error = core.streamError else { return }
        let count = core.streamErrorCount - seenStreamErrors
        seenStreamErrors = core.streamErrorCount
        worker.log(.warn, "http2 stream refused") {
            $0.field("id", connectionNumber)
            $0.field("code", "\(error.code)")
            $0.field("reason", error.reason)
            if count > 1 { $0.field("count", count) }
        }
    }

    // MARK: Streams

    /// What an event that was taken counts towards the turn's bound.
    private func cost(of event: HTTP2Event) -> Int {
        switch event {
        case .request(let id, _): 1 + (find(id)?.headSize ?? 0) / HTTP2Server.headBytesPerEvent
        // It was decoded to its end.
        case .tooLarge: HTTP2Server.maxEvents
        default: 1
        }
    }

    private func begin(_ id: UInt32, _ endsStream: Bool) {
        let stream = place(id)
        stream.begin(id, number: requestCount, endsStream: endsStream)
        running += 1
        stream.start()
    }

    /// Answers a request whose head was not kept.
    private func refuse(_ id: UInt32) {
        worker.metrics.count(.limit(.headSize))
        worker.log(.warn, "bad request") {
            $0.field("id", connectionNumber)
            $0.field("status", 431)
            $0.field("reason", "header list over its limit")
        }
        place(id).refuse(id, number: requestCount, status: 431)
    }

    private func place(_ id: UInt32) -> HTTP2ServerStream {
        requestCount += 1
        if requestCount == 1 { onFirstRequest?() }
        let stream = parked.popLast() ?? HTTP2ServerStream(self, Exchange(on: worker, upstreams, tunnel: tunnel))
        if let slot = core.slot(of: id) {
            while streams.count <= slot { streams.append(nil) }
            streams[slot] = stream
        }
        return stream
    }

    /// The exchange of a stream is over.
    func exchangeEnded() {
        running -= 1
        if running == 0 {
            lastOneWaiter?.resume()
            lastOneWaiter = nil
        }
    }

    /// Nothing of the stream is left to be sent.
    func release(_ stream: HTTP2ServerStream) {
        if let slot = core.slot(of: stream.id) { streams[slot] = nil }
        core.release(stream.id)
        stream.settle()
        if core.streamCount == 0 {
            idleSince = worker.reactor.now
            if parked.count >= HTTP2Server.maxParkedIdle { setAlarm(HTTP2Server.tidyDelay) }
            // The end of draining is looked at by who reads.
            if case .draining = life { self.stream.wake() }
        }
        if parked.count < HTTP2Server.maxParked, isServing {
            parked.append(stream)
        } else {
            stream.dismiss()
        }
    }

    // MARK: Time

    private func tellLast() {
        guard case .draining(hasLast: false) = life else { return }
        life = .draining(hasLast: true)
        core.finishDraining()
        schedulePump()
        stream.wake()
    }

    /// Sees to it that `checkTime` runs when it is due.
    func arm() {
        var due = core.deadline ?? .max
        let idle = snapshot.keepAliveTimeout
        // Once that time is over it has had its effect, and would be due for ever.
        if case .open = life, idle > 0, core.streamCount == 0 { due = min(due, idleSince &+ idle) }
        guard due < alarm else { return }
        setAlarm(due &- min(due, worker.reactor.now))
    }

    private func setAlarm(_ delay: UInt64) {
        let (now, due) = (worker.reactor.now, worker.reactor.now &+ delay)
        guard due < alarm else { return }
        alarm = due
        clock.set(after: due > now ? due - now : 0)
    }

    private func checkTime() {
        alarm = .max
        let now = worker.reactor.now
        do throws(HTTP2Error) {
            while let event = try core.expire(now: now) {
                if case .reset(let id, _, _) = event { find(id)?.reset(.stalled) }
            }
        } catch { return fail(error) }
        noteStreamErrors()
        if core.streamCount == 0, parked.count > HTTP2Server.maxParkedIdle {
            if now &- idleSince >= HTTP2Server.tidyDelay {
                while parked.count > HTTP2Server.maxParkedIdle { parked.removeLast().dismiss() }
                core.releaseMemory()
            } else {
                setAlarm(HTTP2Server.tidyDelay)
            }
        }
        switch life {
        case .draining(hasLast: false):
            // The alarm may have been set for something else before.
            if now >= lastWordDue { tellLast() } else { setAlarm(lastWordDue &- now) }
        case .open where snapshot.keepAliveTimeout > 0 && core.streamCount == 0:
            if now &- idleSince >= snapshot.keepAliveTimeout { takeNoMoreRequests() }
        default: break
        }
        schedulePump()
        arm()
    }
}
