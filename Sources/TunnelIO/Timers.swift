/// A point in time at which something is given up or done.
///
/// A deadline belongs to the one object that holds it, and ends with that object: it leaves its loop's queue when it is
/// released, set or not. So its action may hold the owner `unowned`, and an owner that goes early, by whatever way,
/// leaves nothing behind that would fire later. The queue does not keep deadlines alive.
///
/// Moving a deadline later, as each request does, writes one integer: the queue keeps the old place and looks again
/// when that comes up. The closure is allocated once, with the deadline, not each time it is set.
///
/// Like everything on a loop it is made, set and released on that loop's thread.
package final class Deadline {
    /// Nanoseconds of the loop's clock; `UInt64.max` is off.
    fileprivate var due = UInt64.max
    /// Its place in the queue's heap; -1 when it is not in it.
    fileprivate var place = -1
    private let queue: TimerQueue
    fileprivate let action: () -> Void

    /// - Parameters:
    ///   - reactor: the loop whose clock and queue it uses.
    ///   - action: called on the loop, at most once for each time the deadline is set. It holds its owner weakly or
    ///     unowned, because the owner holds the deadline.
    package convenience init(on reactor: Reactor, _ action: @escaping () -> Void) {
        self.init(in: reactor.timers, action)
    }

    init(in queue: TimerQueue, _ action: @escaping () -> Void) { (self.queue, self.action) = (queue, action) }

    deinit { queue.remove(self) }

    package var isSet: Bool { due != .max }

    /// Lets it fire `nanoseconds` from now; this replaces what was set before.
    package func set(after nanoseconds: UInt64) {
        let (due, isBeyond) = queue.now.addingReportingOverflow(nanoseconds)
        queue.set(self, due: isBeyond || due == .max ? .max - 1 : due)
    }

    /// Turns it off. It keeps its place in the queue until that comes up, because most are set again soon.
    package func cancel() { due = .max }
}

/// The clock of one loop and the deadlines that wait for it: a binary heap by time that knows each member's place.
///
/// An entry is two words, its time beside the reference, so that sifting touches no deadline but those that move.
final class TimerQueue {
    private struct Entry {
        /// The time under which the deadline is queued: never later than its `due`.
        var time: UInt64
        // SAFETY: a deadline takes its entry out in `deinit`, so what an entry refers to is alive.
        let deadline: Unmanaged<Deadline>

        func move(to place: Int) { deadline._withUnsafeGuaranteedRef { $0.place = place } }
    }

    /// Nanoseconds of CLOCK_MONOTONIC, read once a turn.
    var now: UInt64 = 0
    private var heap: [Entry] = []
    /// Those whose only holder is the queue, by ``Reactor/runLater(after:_:)``.
    private var owned: [ObjectIdentifier: Deadline] = [:]

    /// When the loop must next look, or `nil`.
    var next: UInt64? { heap.first?.time }
    /// Deadlines that are set.
    var count: Int { heap.count { $0.deadline._withUnsafeGuaranteedRef(\.isSet) } }

    func set(_ deadline: Deadline, due: UInt64) {
        deadline.due = due
        let place = deadline.place
        if place < 0 {
            deadline.place = heap.count
            heap.append(Entry(time: due, deadline: .passUnretained(deadline)))
            siftUp(deadline.place)
        } else if due < heap[place].time {
            heap[place].time = due
            siftUp(place)
        }
    }

    /// Takes the deadline out for good.
    func remove(_ deadline: Deadline) {
        deadline.due = .max
        let place = deadline.place
        guard place >= 0 else { return }
        deadline.place = -1
        let last = heap.removeLast()
        guard place < heap.count else { return }
        put(last, at: place)
        siftDown(place)
        siftUp(place)
    }

    /// Takes one deadline whose time has come and returns what it does; `nil` when none has.
    func popDue(now: UInt64) -> (() -> Void)? {
        while let first = heap.first, first.time <= now {
            let deadline = first.deadline.takeUnretainedValue()
            // Moved later since: also where both times have passed, so that deadlines fire in the order of their times.
            if deadline.due > first.time && deadline.isSet {
                heap[0].time = deadline.due
                siftDown(0)
                continue
            }
            let isSet = deadline.isSet
            remove(deadline)
            if !owned.isEmpty { owned[ObjectIdentifier(deadline)] = nil }
            if isSet { return deadline.action }
        }
        return nil
    }

    /// Sets a deadline that is held here until it fires.
    func own(_ deadline: Deadline) { owned[ObjectIdentifier(deadline)] = deadline }

    /// Lets go of those that only the queue holds, at the loop's end.
    func disown() { owned = [:] }

    private func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in (2 * parent + 1)..<(2 * parent + 3)
            where child < heap.count && heap[child].time < heap[least].time {
                least = child
            }
            if least == parent { return }
            exchange(parent, least)
            parent = least
        }
    }

    private func siftUp(_ start: Int) {
        var child = start
        while child > 0, heap[child].time < heap[(child - 1) / 2].time {
            exchange(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private func exchange(_ a: Int, _ b: Int) {
        let (first, second) = (heap[a], heap[b])
        put(first, at: b)
        put(second, at: a)
    }

    private func put(_ entry: Entry, at place: Int) {
        heap[place] = entry
        entry.move(to: place)
    }
}

/// Ends what a task waits for, from outside, on the same loop: a lookup, a connect or a handshake.
///
/// One wait at a time is under its hand. Once cancelled it ends each later wait at once, until ``reset()``.
package final class Cancellation {
    package private(set) var isCancelled = false
    private var action: (() -> Void)?

    package init() {}

    /// Ends the wait that is under way, if any, and those to come.
    package func cancel() {
        isCancelled = true
        let action = action
        self.action = nil
        action?()
    }

    /// Makes it usable for another piece of work.
    package func reset() { (isCancelled, action) = (false, nil) }

    /// - Parameter action: ends the wait; called at most once, and at once when it is too late.
    package func arm(_ action: @escaping () -> Void) {
        if isCancelled { action() } else { self.action = action }
    }

    package func disarm() { action = nil }
}

extension Reactor {
    /// Nanoseconds of CLOCK_MONOTONIC, read once a turn.
    package var now: UInt64 { timers.now }

    /// Deadlines that are set and have not fired. A test that ends with one has an owner that outlived its work.
    package var pendingDeadlines: Int { timers.count }

    /// Calls `body` once, `nanoseconds` from now, unless the loop ends before. For what has no owner on the loop; `body`
    /// must not hold the loop.
    package func runLater(after nanoseconds: UInt64, _ body: @escaping () -> Void) {
        let deadline = Deadline(on: self, body)
        timers.own(deadline)
        deadline.set(after: nanoseconds)
    }
}

extension Loop {
    /// Waits on the loop, which goes on with other work meanwhile. Cannot be cut short.
    package func pause(_ duration: Duration) async {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0, let nanoseconds = UInt64(exactly: attoseconds / 1_000_000_000) else {
            return
        }
        // Far above any wait, and far below what would overflow the clock.
        let wait = UInt64(clamping: min(seconds, 1 << 30)) * 1_000_000_000 + nanoseconds
        let pause = Pause(on: reactor)
        pause.deadline.set(after: wait)
        await pause.end()
    }

    /// The task that waits holds it, and it holds the deadline.
    private final class Pause {
        private var waiter: UnsafeContinuation<Void, Never>?
        private let reactor: Reactor
        private(set) lazy var deadline = Deadline(on: reactor) { [unowned self] in waiter?.resume() }

        init(on reactor: Reactor) { self.reactor = reactor }

        func end() async { await withUnsafeContinuation { waiter = $0 } }
    }
}
