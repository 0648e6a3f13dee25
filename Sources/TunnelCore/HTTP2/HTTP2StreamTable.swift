/// One stream that is open, or that its exchange has not let go of.
struct HTTP2Stream: Sendable {
    /// A direction of it (RFC 9113 §5.1).
    enum Half: Sendable { case head, body, done }

    var id: UInt32 = 0
    /// What the peer sends, and what we send.
    var incoming = Half.head
    var outgoing = Half.head
    /// What we may send.
    var window = HTTP2Window()
    /// What the peer may send, and how much of that was taken and not yet given back.
    var credit = 0
    var taken = 0
    /// Bytes of body that are still to come by Content-Length, and that we are still to offer by our own; negative if it is not
    /// known.
    var expected: Int64 = -1
    var promised: Int64 = -1
    /// Bytes that wait to be sent, and whether the stream ends with them.
    var pending = 0
    var endsWithPending = false
    var priority = HTTP2Priority()
    /// Since when the body waits for a window, or 0, and how much of it could go since then.
    var heldSince: UInt64 = 0
    var progress = 0
    /// The method of the request that it carries.
    var method = Method.other
    /// Neighbours in its queue of the scheduler; -1 for none.
    var next: Int32 = -1
    var previous: Int32 = -1
    var isQueued = false
    /// We ended it before its time, and the peer may not have heard of it.
    var wasReset = false
    /// The next with the same hash, or the next free one.
    var chain: Int32 = -1

    var isDone: Bool { incoming == .done && outgoing == .done }
}

/// Streams by number, in slots that are used again: nothing is allocated once as many were open as ever will.
///
/// How the last streams ended is remembered, because frames may have been under way when we reset theirs (RFC 9113 §5.1).
/// Frames on a stream that is forgotten are ignored, and counted: twice as many are remembered as may be open at once.
struct HTTP2StreamTable: Sendable {
    /// How a stream that is gone has ended.
    enum End: UInt32, Sendable { case unknown, complete, resetByPeer, resetByUs }

    static let leastRemembered = 256
    private static let buckets = 128

    var slots: [HTTP2Stream] = []
    private(set) var count = 0
    private var firstFree: Int32 = -1
    private var heads = [Int32](repeating: -1, count: buckets)
    /// A place for each of the last streams of one side: its number without the lowest bit, and in the two bits below the end.
    /// Takes memory with the first.
    private var gone: [UInt32] = []
    /// Places there are, a power of two.
    let remembered: Int

    init(maxStreams: Int) {
        var places = Self.leastRemembered
        while places < maxStreams * 2, places < 1 << 20 { places *= 2 }
        remembered = places
    }

    /// The slot of stream `id`.
    func find(_ id: UInt32) -> Int? {
        var slot = heads[Self.bucket(id)]
        while slot >= 0 {
            if slots[Int(slot)].id == id { return Int(slot) }
            slot = slots[Int(slot)].chain
        }
        return nil
    }

    mutating func insert(_ stream: HTTP2Stream) -> Int {
        var stream = stream
        let bucket = Self.bucket(stream.id)
        stream.chain = heads[bucket]
        let slot: Int
        if firstFree >= 0 {
            slot = Int(firstFree)
            firstFree = slots[slot].chain
            slots[slot] = stream
        } else {
            slot = slots.count
            slots.append(stream)
        }
        heads[bucket] = Int32(slot)
        count += 1
        return slot
    }

    mutating func remove(_ slot: Int, _ end: End) {
        let id = slots[slot].id
        let bucket = Self.bucket(id)
        if heads[bucket] == Int32(slot) {
            heads[bucket] = slots[slot].chain
        } else {
            var before = Int(heads[bucket])
            while slots[before].chain != Int32(slot) { before = Int(slots[before].chain) }
            slots[before].chain = slots[slot].chain
        }
        slots[slot] = HTTP2Stream()
        slots[slot].chain = firstFree
        firstFree = Int32(slot)
        count -= 1
        remember(id, end)
    }

    /// The stream is gone, or never had a slot. The first word about it counts.
    mutating func remember(_ id: UInt32, _ end: End) {
        if gone.isEmpty { gone = [UInt32](repeating: 0, count: remembered) }
        let place = Int(id >> 1) & (remembered - 1)
        if gone[place] >> 2 == id >> 1, gone[place] & 3 != 0 { return }
        gone[place] = (id >> 1) << 2 | end.rawValue
    }

    /// Its end may have been known once: another stream has its place.
    func mayHaveForgotten(_ id: UInt32) -> Bool {
        guard !gone.isEmpty else { return false }
        let entry = gone[Int(id >> 1) & (remembered - 1)]
        return entry != 0 && entry >> 2 != id >> 1
    }

    /// How a stream without a slot has ended.
    func end(of id: UInt32) -> End {
        guard !gone.isEmpty else { return .unknown }
        let entry = gone[Int(id >> 1) & (remembered - 1)]
        return entry >> 2 == id >> 1 ? End(rawValue: entry & 3) ?? .unknown : .unknown
    }

    private static func bucket(_ id: UInt32) -> Int { Int(id >> 1) % buckets }
}
