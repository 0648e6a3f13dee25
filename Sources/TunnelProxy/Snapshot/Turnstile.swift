internal import Synchronization
internal import TunnelIO

/// Lets so many requests in at a time, over all loops, and some more wait for their turn.
///
/// Who finds a place takes it with one compare-and-swap, and who leaves looks whether somebody waits. The lock is for the
/// line alone: without one, nobody takes it.
final class Turnstile: Sendable {
    /// One who waits.
    private final class Ticket: Sendable {
        private enum State {
            case open
            case waiting(UnsafeContinuation<Bool, Never>)
            case decided(Bool)
        }
        private let state = Mutex(State.open)

        /// From any thread; the first decision counts.
        func decide(_ isIn: Bool) {
            let waiter: UnsafeContinuation<Bool, Never>? = state.withLock { state in
                defer { if case .decided = state {} else { state = .decided(isIn) } }
                if case .waiting(let continuation) = state { return continuation }
                return nil
            }
            // A task that waits on its loop goes on there.
            waiter?.resume(returning: isIn)
        }

        func decision() async -> Bool {
            await withUnsafeContinuation { continuation in
                let decided: Bool? = state.withLock { state in
                    if case .decided(let isIn) = state { return isIn }
                    state = .waiting(continuation)
                    return nil
                }
                if let decided { continuation.resume(returning: decided) }
            }
        }
    }

    private let before = InlineArray<8, UInt64>(repeating: 0)
    private let inside = Atomic<Int>(0)
    private let waiting = Atomic<Int>(0)
    private let after = InlineArray<8, UInt64>(repeating: 0)
    private let line = Mutex<[Ticket]>([])

    /// Requests that have a place.
    var count: Int { inside.load(ordering: .relaxed) }
    var waitingCount: Int { waiting.load(ordering: .relaxed) }

    /// Takes a place, unless `limit` are taken or somebody waits for one.
    func enter(limit: Int) -> Bool {
        waiting.load(ordering: .sequentiallyConsistent) == 0 && takePlace(limit)
    }

    private func takePlace(_ limit: Int) -> Bool {
        var current = inside.load(ordering: .sequentiallyConsistent)
        // Never one too many for a moment: who looked just then would wait for a place that is free.
        while current < limit {
            let (isDone, seen) = inside.weakCompareExchange(
                expected: current, desired: current + 1, ordering: .sequentiallyConsistent)
            if isDone { return true }
            current = seen
        }
        return false
    }

    /// Gives a place back.
    ///
    /// - Parameter limit: of who leaves; after a reload it is another one than who waits has come by.
    func leave(limit: Int) {
        inside.subtract(1, ordering: .sequentiallyConsistent)
        if waiting.load(ordering: .sequentiallyConsistent) > 0 { callIn(limit) }
    }

    /// Waits for a place, in the order of coming.
    ///
    /// - Returns: whether it has one; `false` when `queue` wait already, after `timeout` nanoseconds, or when it was
    ///   cancelled.
    func wait(_ places: PlaceLimit, on reactor: Reactor, _ cancellation: Cancellation) async -> Bool {
        // A reload may have made places since anybody looked.
        callIn(places.limit)
        if enter(limit: places.limit) { return true }
        let ticket = Ticket()
        let isInLine = line.withLock { line in
            guard line.count < places.queue else { return false }
            line.append(ticket)
            waiting.add(1, ordering: .sequentiallyConsistent)
            return true
        }
        guard isInLine else { return false }
        // A place may have come free before anybody could see that we wait.
        callIn(places.limit)
        let deadline = Deadline(on: reactor) { [unowned self] in giveUp(ticket) }
        deadline.set(after: places.timeout)
        cancellation.arm { [unowned self] in giveUp(ticket) }
        let isIn = await ticket.decision()
        cancellation.disarm()
        deadline.cancel()
        return isIn
    }

    private func callIn(_ limit: Int) {
        let called = line.withLock { line in
            var called: [Ticket] = []
            while let first = line.first, takePlace(limit) {
                called.append(first)
                line.removeFirst()
                waiting.subtract(1, ordering: .sequentiallyConsistent)
            }
            return called
        }
        for ticket in called { ticket.decide(true) }
    }

    private func giveUp(_ ticket: Ticket) {
        let wasInLine = line.withLock { line in
            guard let index = line.firstIndex(where: { $0 === ticket }) else { return false }
            line.remove(at: index)
            waiting.subtract(1, ordering: .sequentiallyConsistent)
            return true
        }
        // Who is not in the line any more has been called in.
        if wasInLine { ticket.decide(false) }
    }
}
