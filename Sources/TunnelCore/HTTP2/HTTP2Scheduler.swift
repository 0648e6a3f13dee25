/// Who sends next: streams with bytes to send, and a window for them, in queues by urgency (RFC 9218 §10).
///
/// Within an urgency incremental streams take turns of one frame, so that they share by bytes. Those that are not are served
/// one after another, in turn with the incremental ones. More urgent streams go first, but each sixteenth turn belongs to a
/// lower urgency: nothing starves.
struct HTTP2Scheduler: Sendable {
    private static let urgencies = 8
    private static let turnsUntilLower = 16

    /// Two queues for each urgency: sequential, incremental.
    private var firsts = [Int32](repeating: -1, count: urgencies * 2)
    private var lasts = [Int32](repeating: -1, count: urgencies * 2)
    /// A bit for each queue that is not empty.
    private var filled: UInt32 = 0
    private var turns = 0
    private var prefersIncremental = true

    var isEmpty: Bool { filled == 0 }

    private static func queue(_ priority: HTTP2Priority) -> Int {
        priority.urgency * 2 + (priority.isIncremental ? 1 : 0)
    }

    /// Puts a stream at the end of its queue, or at the front.
    mutating func add(_ slot: Int, to slots: inout [HTTP2Stream], inFront: Bool = false) {
        guard !slots[slot].isQueued else { return }
        let queue = Self.queue(slots[slot].priority)
        let neighbour = inFront ? firsts[queue] : lasts[queue]
        slots[slot].isQueued = true
        slots[slot].next = inFront ? neighbour : -1
        slots[slot].previous = inFront ? -1 : neighbour
        if inFront { firsts[queue] = Int32(slot) } else { lasts[queue] = Int32(slot) }
        if neighbour < 0 {
            firsts[queue] = Int32(slot)
            lasts[queue] = Int32(slot)
        } else if inFront {
            slots[Int(neighbour)].previous = Int32(slot)
        } else {
            slots[Int(neighbour)].next = Int32(slot)
        }
        filled |= 1 << UInt32(queue)
    }

    mutating func remove(_ slot: Int, from slots: inout [HTTP2Stream]) {
        guard slots[slot].isQueued else { return }
        let queue = Self.queue(slots[slot].priority)
        let (previous, next) = (slots[slot].previous, slots[slot].next)
        if previous < 0 { firsts[queue] = next } else { slots[Int(previous)].next = next }
        if next < 0 { lasts[queue] = previous } else { slots[Int(next)].previous = previous }
        (slots[slot].previous, slots[slot].next, slots[slot].isQueued) = (-1, -1, false)
        if firsts[queue] < 0 { filled &= ~(1 << UInt32(queue)) }
    }

    /// The stream whose turn it is, taken out of its queue.
    mutating func takeNext(from slots: inout [HTTP2Stream]) -> Int? {
        guard filled != 0 else { return nil }
        turns += 1
        var urgency = filled.trailingZeroBitCount / 2
        if turns >= Self.turnsUntilLower {
            turns = 0
            let lower = filled & ~(UInt32.max >> UInt32(30 - urgency * 2))
            if lower != 0 { urgency = lower.trailingZeroBitCount / 2 }
        }
        let both = filled >> UInt32(urgency * 2) & 3
        let isIncremental = both == 3 ? prefersIncremental : both == 2
        prefersIncremental = !isIncremental
        let slot = Int(firsts[urgency * 2 + (isIncremental ? 1 : 0)])
        remove(slot, from: &slots)
        return slot
    }
}
