import Testing

@testable import TunnelIO

/// The heap against a list that is searched from end to end.
@Suite struct TimersTests {
    @Test(arguments: 0..<40) func behavesLikeAList(_ seed: UInt64) {
        var random = SplitMix(state: seed)
        var queue = TimerQueue()
        var model = [UInt64?](repeating: nil, count: 24)
        var fired: [Int] = []
        let record = Record()
        let deadlines = (0..<24).map { index in Deadline { record.fired.append(index) } }
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

    @Test func removingLeavesNothingBehind() {
        var queue = TimerQueue()
        weak var gone: Deadline?
        do {
            let deadline = Deadline {}
            gone = deadline
            queue.set(deadline, due: 5)
            queue.set(deadline, due: 3)
            queue.remove(deadline)
            queue.remove(deadline)
        }
        #expect(gone == nil)
        #expect(queue.next == nil)
    }

    @Test func aDeadlineMayBeSetAgainByItsOwnAction() throws {
        let count = try onLoop { loop in
            let reactor = loop.reactor
            let count = Box(0)
            let again = Box<Deadline?>(nil)
            let deadline = Deadline { [unowned reactor] in
                count.value += 1
                if count.value < 3, let deadline = again.value { reactor.set(deadline, after: 1) }
            }
            again.value = deadline
            reactor.set(deadline, after: 0)
            while count.value < 3 { await turns(on: reactor) }
            again.value = nil
            return count.value
        }
        #expect(count == 3)
    }

    private final class Record {
        var fired: [Int] = []
    }
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
