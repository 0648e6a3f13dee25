/// Where a proxy counts what belongs to one route. A route keeps its slot over reloads, so that its counters never go back.
package struct RouteSlot: Sendable, Hashable {
    package let index: Int
    /// Of the routes that had this slot one after another, which one this is; from 1.
    package let generation: UInt64

    package init(index: Int, generation: UInt64) { (self.index, self.generation) = (index, generation) }

    /// Of requests whose host has no route.
    package static let none = RouteSlot(index: 0, generation: 1)
}

/// The counters of one route on one worker. For the time of a request, on the worker's own loop.
///
/// Where the slot has been given to another route meanwhile, because a reload took this one out long ago, nothing is counted.
package struct RouteCounters {
    // SAFETY: into a block of the worker's metrics, which outlive every request of the worker.
    let base: UnsafeMutablePointer<UInt64>
    let generation: UInt64

    var isCurrent: Bool { base[RouteLayout.generation] == generation }

    package func began() { add(1, RouteLayout.active) }
    package func ended() { add(.max, RouteLayout.active) }
    package func eventStreamBegan() { add(1, RouteLayout.openEventStreams) }
    package func eventStreamEnded() { add(.max, RouteLayout.openEventStreams) }
    package func movedUp(_ bytes: Int) { add(UInt64(bytes), RouteLayout.bytesUp) }
    package func movedDown(_ bytes: Int) { add(UInt64(bytes), RouteLayout.bytesDown) }
    package func failed(_ failure: UpstreamFailure) { add(1, RouteLayout.failures + failure.rawValue) }

    package func recordFirstByte(nanoseconds: UInt64) {
        guard isCurrent else { return }
        _ = Series(words: base + RouteLayout.firstByte).record(nanoseconds, HistogramBounds.requestLimits)
    }

    /// Also takes away: adding the largest number is subtracting one.
    private func add(_ number: UInt64, _ place: Int) {
        if isCurrent { base[place] &+= number }
    }
}

/// The words of one histogram.
struct Series {
    // SAFETY: `SeriesLayout.count` words in a block that outlives this.
    let words: UnsafeMutablePointer<UInt64>

    /// - Returns: the bucket.
    func record(_ nanoseconds: UInt64, _ limits: HistogramLimits) -> Int {
        let bucket = limits.bucket(nanoseconds)
        words[bucket] &+= 1
        words[SeriesLayout.buckets] &+= nanoseconds
        return bucket
    }
}

/// Histograms that are made when the first duration is to be counted in them. A place is a number from 1; memory that was
/// given out never moves.
struct SeriesBlocks: ~Copyable {
    private(set) var blocks: [UnsafeMutablePointer<UInt64>] = []
    private var used = 0
    /// Those that nobody has any more, all zeros.
    private var spare: [UInt64] = []

    deinit { for block in blocks { block.deallocate() } }

    var capacity: Int { blocks.count * Layout.seriesInBlock * SeriesLayout.count }

    subscript(place: UInt64) -> Series {
        let index = Int(place) - 1
        return Series(
            words: blocks[index / Layout.seriesInBlock] + index % Layout.seriesInBlock * SeriesLayout.count)
    }

    @inline(never)
    mutating func make() -> UInt64 {
        if let place = spare.popLast() { return place }
        if used == blocks.count * Layout.seriesInBlock {
            let count = Layout.seriesInBlock * SeriesLayout.count
            let block = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
            block.initialize(repeating: 0, count: count)
            blocks.append(block)
        }
        used += 1
        return UInt64(used)
    }

    mutating func giveBack(_ place: UInt64) {
        self[place].words.update(repeating: 0, count: SeriesLayout.count)
        spare.append(place)
    }

    func block(_ index: Int) -> UnsafeBufferPointer<UInt64> {
        UnsafeBufferPointer(start: blocks[index], count: Layout.seriesInBlock * SeriesLayout.count)
    }
}

/// When things began that are still there, the oldest first. To add, to remove and to ask for the oldest take the same time
/// however many there are.
package struct AgeList: Sendable {
    private struct Node {
        var before: Int32
        var after: Int32
        var began: UInt64
    }
    private var nodes: [Node] = []
    private var spare: [Int32] = []
    private var first: Int32 = -1
    private var last: Int32 = -1

    package init() {}

    package var count: Int { nodes.count - spare.count }
    package var oldest: UInt64? { first < 0 ? nil : nodes[Int(first)].began }

    /// - Parameter began: not before that of the one added last.
    /// - Returns: what to remove it by.
    package mutating func add(_ began: UInt64) -> Int32 {
        let node = Node(before: last, after: -1, began: began)
        let index: Int32
        if let free = spare.popLast() {
            index = free
            nodes[Int(index)] = node
        } else {
            index = Int32(nodes.count)
            nodes.append(node)
        }
        if last >= 0 { nodes[Int(last)].after = index } else { first = index }
        last = index
        return index
    }

    package mutating func remove(_ index: Int32) {
        let node = nodes[Int(index)]
        if node.before >= 0 { nodes[Int(node.before)].after = node.after } else { first = node.after }
        if node.after >= 0 { nodes[Int(node.after)].before = node.before } else { last = node.before }
        spare.append(index)
    }
}
