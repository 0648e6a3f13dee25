import Testing

@testable import TunnelIO

/// The heap against a list that is searched from end to end.
@Suite struct TimersTests {
    @Test(arguments: 0..<40) func behavesLikeAList(_ seed: UInt64) {
        var random = SplitMix(state: seed)
        let queue = TimerQueue()
        var model = [UInt64?](repeating: nil, count: 24)
        var fired: [Int] = []
        let record = Record()
        let deadlines = (0..<24).map { index in Deadline(in: queue) { record.fired.append(index) } }
        var now: UInt64 = 0
        for _ in 0..<600 {
            let index = Int(random.next() % 24)
            switch random.next() % 8 {
            case 0...3:
                let due = now + random.next() % 50
                queue.set(deadlines[index], due: due)
                model[index] = due
            case 4:
                queue.remove(deadlines[index])
                model[index] = nil
            case 5:
                deadlines[index].cancel()
                model[index] = nil
            default:
                now += random.next() % 20
                while let action = queue.popDue(now: now) {
                    let count = record.fired.count
                    action()
                    let index = record.fired[count]
                    // Those due in one turn come in any order: one that was moved keeps its earlier place.
                    #expect(model[index].map { $0 <= now } ?? false, "fired too early")
                    model[index] = nil
                    fired.append(index)
                }
                #expect(!model.contains { $0.map { $0 <= now } ?? false }, "one was left")
            }
            #expect(zip(deadlines, model).allSatisfy { $0.isSet == ($1 != nil) })
            // The queue may look too early, after a deadline was moved, but never too late.
            if let first = model.compactMap({ $0 }).min() { #expect(queue.next.map { $0 <= first } ?? false) }
        }
        #expect(record.fired == fired)
    }

    /// Its owner may go by any way, and forget it: it never fires, and the queue has no place for it any more.
    @Test func aDeadlineEndsWithItsOwner() {
        let queue = TimerQueue()
        let record = Record()
        let others = (0..<9).map { index in Deadline(in: queue) { record.fired.append(index) } }
        for (index, other) in others.enumerated() { queue.set(other, due: UInt64(10 * index)) }
        do {
            let owner = Owner(queue, record)
            for due in [25, 5, 70] as [UInt64] { queue.set(owner.deadline, due: due) }
            #expect(queue.count == 10)
        }
        #expect(queue.count == 9)
        while let action = queue.popDue(now: 1_000) { action() }
        #expect(record.fired == Array(0..<9))
        #expect(queue.next == nil)
        withExtendedLifetime(others) {}
    }

    @Test func removingTwiceIsRemovingOnce() {
        let queue = TimerQueue()
        let deadline = Deadline(in: queue) {}
        queue.set(deadline, due: 5)
        queue.remove(deadline)
        queue.remove(deadline)
        #expect(queue.next == nil && !deadline.isSet)
    }

    /// A wait without end is no wait that ends at once.
    @Test func theLongestWaitDoesNotWrap() {
        let queue = TimerQueue()
        queue.now = 1_000
        let deadline = Deadline(in: queue) {}
        for wait: UInt64 in [.max, .max - 1_000, .max - 1_001] {
            deadline.set(after: wait)
            #expect(deadline.isSet && queue.popDue(now: 1 << 62) == nil)
        }
    }

    @Test func aDeadlineMayBeSetAgainByItsOwnAction() throws {
        let count = try onLoop { loop in
            let reactor = loop.reactor
            let (count, again) = (Box(0), Box<Deadline?>(nil))
            again.value = Deadline(on: reactor) { [unowned again] in
                count.value += 1
                if count.value < 3 { again.value?.set(after: 1) }
            }
            again.value?.set(after: 0)
            while count.value < 3 { await turns(on: reactor) }
            return count.value
        }
        #expect(count == 3)
    }

    /// The one that nobody holds fires once, or goes with its loop.
    @Test func whatIsRunLaterRunsOnce() throws {
        weak var gone: Record?
        do {
            let loop = try Loop()
            let record = Record()
            gone = record
            loop.spawn { [held = UnsafeTransfer(record)] loop in
                let record = held.value
                loop.reactor.runLater(after: 0) { record.fired.append(1) }
                loop.reactor.runLater(after: 3_600_000_000_000) { record.fired.append(2) }
                while record.fired.isEmpty { await turns(on: loop.reactor) }
                #expect(loop.reactor.pendingDeadlines == 1)
                loop.stop()
            }
            loop.run()
            #expect(record.fired == [1])
        }
        #expect(gone == nil)
    }

    /// A task that waits holds its own deadline.
    @Test func aPauseLastsItsTime() throws {
        let (waited, left) = try onLoop { loop in
            let before = Reactor.clock()
            await loop.pause(.milliseconds(20))
            return (Reactor.clock() - before, loop.reactor.pendingDeadlines)
        }
        #expect(waited >= 20_000_000)
        #expect(left == 1, "the test's own watchdog")
    }

    private final class Owner {
        let deadline: Deadline
        init(_ queue: TimerQueue, _ record: Record) { deadline = Deadline(in: queue) { record.fired.append(-1) } }
    }

    private final class Record {
        var fired: [Int] = []
    }
}

/// What a test hands to the loop that its own thread serves.
private struct UnsafeTransfer<Value>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

/// A small generator whose whole state is its seed.
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
