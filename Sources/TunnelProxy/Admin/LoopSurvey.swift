internal import Synchronization
internal import TunnelCore
internal import TunnelIO

/// Asks every loop of the proxy for a value, and waits for them on the admin loop. The loops answer between two turns.
final class LoopSurvey<Value: Sendable>: Sendable {
    private let results: Mutex<[Value?]>

    private init(count: Int) { results = Mutex(Array(repeating: nil, count: count)) }

    /// - Parameters:
    ///   - limit: who has not answered by then is `nil` in the result: its loop does not turn, or has ended.
    ///   - ask: called on each of the loops.
    /// - Returns: a value for each loop, in their order.
    static func of(
        _ loops: [Loop], within limit: Duration, on reactor: Reactor, _ ask: @escaping @Sendable (Worker) -> Value
    ) async -> [Value?] {
        let survey = LoopSurvey(count: loops.count)
        let gathering = Gathering(waitingFor: loops.count)
        let key = LoopSurveys.on(reactor).enter { gathering.answered() }
        let deadline = Deadline(on: reactor) { gathering.end() }
        deadline.set(after: limit.nanoseconds)
        let home = reactor.loop
        for (index, loop) in loops.enumerated() {
            loop.spawn { loop in
                guard let worker = Worker.current(on: loop) else { return }
                let value = ask(worker)
                survey.results.withLock { $0[index] = value }
                home.spawn { home in LoopSurveys.on(home.reactor).answered(key) }
            }
        }
        await gathering.wait()
        deadline.cancel()
        LoopSurveys.on(reactor).leave(key)
        return survey.results.withLock { $0 }
    }
}

/// The surveys under way on one loop, by number: what comes late finds nobody.
private final class LoopSurveys: LoopResident {
    private var waiting: [UInt64: () -> Void] = [:]
    private var last: UInt64 = 0

    init(on reactor: Reactor) {}

    static func on(_ reactor: Reactor) -> LoopSurveys { reactor.resident(LoopSurveys.self) }

    func enter(_ answered: @escaping () -> Void) -> UInt64 {
        last += 1
        waiting[last] = answered
        return last
    }

    func answered(_ key: UInt64) { waiting[key]?() }
    func leave(_ key: UInt64) { waiting[key] = nil }
    func loopHasEnded() { waiting = [:] }
}

/// Waits for a number of answers, on one loop.
private final class Gathering {
    private var missing: Int
    private var waiter: UnsafeContinuation<Void, Never>?

    init(waitingFor count: Int) { missing = count }

    func answered() {
        missing -= 1
        if missing == 0 { end() }
    }

    func end() {
        missing = 0
        let waiter = waiter.take()
        waiter?.resume()
    }

    func wait() async { if missing > 0 { await withUnsafeContinuation { waiter = $0 } } }
}
