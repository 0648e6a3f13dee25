/// A point in time at which something is given up or done, owned by what it guards.
///
/// Moving a deadline later, as each request does, writes one integer: the queue keeps the old place and looks again
/// when that comes up.
package final class Deadline {
    /// Nanoseconds of the loop's clock; `UInt64.max` is off.
    fileprivate var due = UInt64.max
    /// The time under which the queue holds this deadline: never later than `due`.
    fileprivate var queued = UInt64.max
    /// Its place in the queue's heap; -1 when it is not in it.
    fileprivate var place = -1
    fileprivate let action: () -> Void

    /// - Parameter action: called on the loop, at most once for each time the deadline is set. It must hold its owner
    ///   weakly or unowned, for the queue holds the deadline.
    package init(_ action: @escaping () -> Void) { self.action = action }

    package var isSet: Bool { due != .max }

    /// Turns the deadline off; its entry is dropped when it comes up. For one that is set again soon.
    package func cancel() { due = .max }
}

/// The deadlines of one loop: a binary heap by time that knows each member's place.
struct TimerQueue {
    private var heap: [Deadline] = []

    /// When the loop must next look, or `nil`.
    var next: UInt64? { heap.first?.queued }

    mutating func set(_ deadline: Deadline, due: UInt64) {
        deadline.due = due
        if deadline.place < 0 {
            deadline.queued = due
            deadline.place = heap.count
            heap.append(deadline)
            siftUp(deadline.place)
        } else if due < deadline.queued {
            deadline.queued = due
            siftUp(deadline.place)
        }
    }

    /// Takes the deadline out for good, when its owner goes.
    mutating func remove(_ deadline: Deadline) {
        deadline.due = .max
        let place = deadline.place
        guard place >= 0 else { return }
        deadline.place = -1
        let last = heap.removeLast()
        guard last !== deadline else { return }
        heap[place] = last
        last.place = place
        siftDown(place)
        siftUp(last.place)
    }

    /// Takes one deadline whose time has come and returns what it does; `nil` when none has.
    mutating func popDue(now: UInt64) -> (() -> Void)? {
        while let first = heap.first, first.queued <= now {
            // Moved later since: also where both times have passed, so that deadlines fire in the order of their times.
            if first.due > first.queued && first.due != .max {
                first.queued = first.due
                siftDown(0)
                continue
            }
            let isSet = first.isSet
            remove(first)
            if isSet { return first.action }
        }
        return nil
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in (2 * parent + 1)..<(2 * parent + 3)
            where child < heap.count && heap[child].queued < heap[least].queued {
                least = child
            }
            if least == parent { return }
            exchange(parent, least)
            parent = least
        }
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0, heap[child].queued < heap[(child - 1) / 2].queued {
            exchange(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func exchange(_ a: Int, _ b: Int) {
        heap.swapAt(a, b)
        heap[a].place = a
        heap[b].place = b
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
        await withUnsafeContinuation { continuation in
            // The queue holds the deadline until it fires.
            reactor.set(Deadline { continuation.resume() }, after: wait)
        }
    }
}
