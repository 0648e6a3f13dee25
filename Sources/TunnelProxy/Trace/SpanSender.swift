internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// Brings spans from the queue to the collector, batch after batch, on a loop of its own.
final class SpanSender {
    /// What of it depends on nothing that lives on the loop.
    struct Plan: Sendable {
        let export: TraceSettings.Export
        let envelope: OTLPEnvelope
        /// Nanoseconds for which a span may wait for others.
        let delay: UInt64
        let queue: SpanQueue
        let tls: TLSClientContext?
        let log: Log
        /// Nanoseconds until the second attempt; twice as many until the third, and so on.
        var firstBackoff: UInt64 = 1_000_000_000
    }

    private let plan: Plan
    private let reactor: Reactor
    private var queue: SpanQueue { plan.queue }
    private var isSending = false
    /// The proxy ends: what is there is sent now, and nothing is waited for.
    private var isFlushing = false
    private var whenFlushed: (@Sendable () -> Void)?
    private var connection: ClientConnection?
    private var call: OTLPCall?

    private lazy var clock = Deadline(on: reactor) { [unowned self] in send() }
    private var waiter: UnsafeContinuation<Void, Never>?
    private lazy var pause = Deadline(on: reactor) { [unowned self] in endPause() }

    /// What was told of, so that a collector that is gone makes one line, and not one a batch.
    private var isFailing = false
    private var toldDropped: UInt64 = 0
    private var toldAt: UInt64 = 0

    /// Attempts for one batch. With the waits between them, a minute and a half.
    private static let maxAttempts = 8
    private static let longestBackoff: UInt64 = 30_000_000_000
    /// Lost spans are told of this often at the most.
    private static let tellInterval: UInt64 = 60_000_000_000

    init(_ plan: Plan, on reactor: Reactor) { (self.plan, self.reactor) = (plan, reactor) }

    /// The one on the current loop, for a task that has just started there.
    static func current(on loop: isolated Loop) -> SpanSender? { loop.reactor.context as? SpanSender }

    // MARK: When

    /// A span was put into the queue that makes something to be done.
    func nudge(_ next: SpanQueue.Next) {
        guard !isSending else { return }
        switch next {
        case .nothing: break
        case .startClock: if !clock.isSet { clock.set(after: plan.delay) }
        case .send: send()
        }
    }

    /// Sends what is there; `done` is called when that is over, whatever came of it.
    func flush(done: @escaping @Sendable () -> Void) {
        isFlushing = true
        whenFlushed = done
        clock.cancel()
        endPause()
        if !isSending { send() }
    }

    /// Ends what is under way.
    func cut() {
        isFlushing = true
        call?.cancel()
        endPause()
        connection?.close()
    }

    private func send() {
        guard !isSending else { return }
        isSending = true
        clock.cancel()
        reactor.spawn(with: self) { sender in await sender.sendAll() }
    }

    private func sendAll() async {
        repeat {
            let batch = queue.take()
            if batch.isEmpty { break }
            await deliver(batch)
        } while queue.waiting >= (isFlushing ? 1 : queue.limits.batch)
        isSending = false
        tellDrops(isLast: isFlushing)
        if isFlushing {
            connection?.close()
            connection = nil
            whenFlushed?()
            whenFlushed = nil
        } else if queue.waiting > 0 {
            clock.set(after: plan.delay)
        }
    }

    // MARK: One batch

    private func deliver(_ batch: [SpanQueue.Entry]) async {
        let spans = batch.reduce(0) { $0 + $1.spans }
        let body = plan.envelope.body(batch.map(\.bytes))
        for attempt in 1...Self.maxAttempts {
            switch await attemptOnce(body) {
            case .taken:
                queue.sent(spans)
                recovered()
                return
            case .refused(let status):
                queue.failed(spans)
                return failed("status \(status)", spans: spans)
            case .later(let reason, let after):
                if attempt == Self.maxAttempts || isFlushing {
                    queue.failed(spans)
                    return failed(reason, spans: spans)
                }
                tellFailing(reason)
                await wait(after ?? backoff(attempt))
            }
        }
    }

    private func attemptOnce(_ body: [UInt8]) async -> OTLPCall.Outcome {
        let call = OTLPCall(plan.export.endpoint, plan.tls, timeout: plan.export.timeout, on: reactor)
        self.call = call
        defer { self.call = nil }
        var kept = connection.take()
        let outcome = await call.run(body, keeping: &kept)
        connection = kept
        return outcome
    }

    /// Up to a quarter less, so that many proxies do not come back together.
    private func backoff(_ attempt: Int) -> UInt64 {
        let wait = min(plan.firstBackoff << UInt64(attempt - 1), Self.longestBackoff)
        return wait - UInt64.random(in: 0...wait / 4)
    }

    private func wait(_ nanoseconds: UInt64) async {
        guard !isFlushing else { return }
        pause.set(after: nanoseconds)
        await withUnsafeContinuation { waiter = $0 }
    }

    private func endPause() {
        pause.cancel()
        waiter?.resume()
        waiter = nil
    }

    // MARK: Log

    private func failed(_ reason: String, spans: Int) {
        isFailing = true
        plan.log(.warn, "trace export failed") { line in
            line.field("endpoint", plan.export.endpoint.description)
            line.field("error", reason)
            line.field("spans_lost", spans)
        }
    }

    private func tellFailing(_ reason: String) {
        guard !isFailing else { return }
        isFailing = true
        plan.log(.warn, "trace export delayed") { line in
            line.field("endpoint", plan.export.endpoint.description)
            line.field("error", reason)
        }
    }

    private func recovered() {
        guard isFailing else { return }
        isFailing = false
        plan.log(.info, "trace export works again") { $0.field("endpoint", plan.export.endpoint.description) }
    }

    private func tellDrops(isLast: Bool) {
        let dropped = queue.counts.dropped
        guard dropped > toldDropped, isLast || toldAt == 0 || reactor.now &- toldAt >= Self.tellInterval else { return }
        plan.log(.warn, "trace spans dropped") { line in
            line.field("count", dropped - toldDropped)
            line.field("queue", queue.limits.spans)
        }
        (toldDropped, toldAt) = (dropped, reactor.now)
    }
}
