/// What one worker counts, in memory that it alone writes: no lock, no atomic, no allocation for a request.
///
/// All of it is words in a few flat blocks that never move. Counting is an addition through a pointer. Whoever reads gets a
/// copy (``copy(_:)``), made on the worker's own thread, so that nothing that a request writes is ever shared.
///
/// Not `Sendable`: the loop that it lives on proves that.
package final class WorkerMetrics {
    // SAFETY (of all pointers in this file): each is to a block of this object's that is freed in `deinit` and not before, and
    // each index is a constant of the layout below or checked by whoever makes the blocks.
    let words: UnsafeMutablePointer<UInt64>
    private var routeBlocks: [UnsafeMutablePointer<UInt64>] = []
    private var series = SeriesBlocks()
    /// Places of the series of tools, by tool and error; made when the first one is counted.
    private var toolPlaces: [UInt64] = []
    /// Raised when a series was given to somebody else: a copy that is under way begins anew.
    private var epoch = 0
    /// Responses that are event streams, the oldest first.
    package var eventStreams = AgeList()

    package init() {
        words = .allocate(capacity: Layout.count)
        words.initialize(repeating: 0, count: Layout.count)
    }

    deinit {
        words.deallocate()
        for block in routeBlocks { block.deallocate() }
    }

    // MARK: Counting

    /// Counts one more.
    package func count(_ event: WorkerEvent, _ number: UInt64 = 1) { words[event.place] &+= number }

    /// One less of something that is there at present.
    package func discount(_ event: WorkerEvent) { words[event.place] &-= 1 }

    /// How often that happened.
    package subscript(event: WorkerEvent) -> UInt64 { words[event.place] }

    /// - Parameter now: nanoseconds of the loop's clock.
    package func saw(_ event: FarSideEvent, at now: UInt64) { words[Layout.lastSeen + event.rawValue] = now }

    /// When that was last seen, by the loop's clock; 0 for never.
    package func lastSeen(_ event: FarSideEvent) -> UInt64 { words[Layout.lastSeen + event.rawValue] }

    // MARK: Routes

    /// The counters of a route.
    package func route(_ slot: RouteSlot) -> RouteCounters {
        while slot.index / Layout.routesInBlock >= routeBlocks.count { addRouteBlock() }
        let base =
            routeBlocks[slot.index / Layout.routesInBlock] + slot.index % Layout.routesInBlock * RouteLayout.count
        // The slot was another route's before.
        if base[RouteLayout.generation] < slot.generation { clear(base, for: slot) }
        return RouteCounters(base: base, generation: slot.generation)
    }

    private func addRouteBlock() {
        let count = Layout.routesInBlock * RouteLayout.count
        let block = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
        block.initialize(repeating: 0, count: count)
        routeBlocks.append(block)
    }

    private func clear(_ base: UnsafeMutablePointer<UInt64>, for slot: RouteSlot) {
        for index in RouteLayout.places..<RouteLayout.count where base[index] > 0 { series.giveBack(base[index]) }
        base.update(repeating: 0, count: RouteLayout.count)
        base[RouteLayout.generation] = slot.generation
        epoch += 1
    }

    /// Counts a request that is over.
    ///
    /// - Parameters:
    ///   - status: of the response; 0 where none was sent.
    ///   - nanoseconds: from its head to its end.
    ///   - now: of the loop's clock.
    ///   - traceID: the trace that it belongs to, as two numbers of big-endian order; it becomes the route's exemplar.
    package func recordDuration(
        _ route: RouteCounters, _ method: Method, status: UInt16, nanoseconds: UInt64, now: UInt64,
        traceID: (high: UInt64, low: UInt64)? = nil
    ) {
        guard route.isCurrent else { return }
        let place = RouteLayout.places + RouteLayout.place(method, status)
        if route.base[place] == 0 { route.base[place] = series.make() }
        let bucket = series[route.base[place]].record(nanoseconds, HistogramBounds.requestLimits)
        guard let traceID else { return }
        route.base[RouteLayout.exemplar] = route.base[place]
        route.base[RouteLayout.exemplar + 1] = UInt64(bucket)
        route.base[RouteLayout.exemplar + 2] = traceID.high
        route.base[RouteLayout.exemplar + 3] = traceID.low
        route.base[RouteLayout.exemplar + 4] = nanoseconds
        route.base[RouteLayout.exemplar + 5] = now
    }

    // MARK: Operations

    /// Counts an operation of MCP that is over.
    ///
    /// - Parameter tool: of the proxy's table of tool names; `nil` where it is not asked for.
    package func recordOperation(
        _ method: OperationMethod, _ error: OperationError, tool: ToolPlace?, nanoseconds: UInt64
    ) {
        if let tool {
            if toolPlaces.isEmpty {
                toolPlaces = [UInt64](repeating: 0, count: ToolPlace.count * OperationError.allCases.count)
            }
            let place = tool.index * OperationError.allCases.count + error.rawValue
            if toolPlaces[place] == 0 { toolPlaces[place] = series.make() }
            _ = series[toolPlaces[place]].record(nanoseconds, HistogramBounds.operationLimits)
            return
        }
        let place = Layout.operations + method.place * OperationError.allCases.count + error.rawValue
        if words[place] == 0 { words[place] = series.make() }
        _ = series[words[place]].record(nanoseconds, HistogramBounds.operationLimits)
    }

    // MARK: Reading

    /// Copies the next piece.
    ///
    /// One piece takes a small part of a millisecond, so that whoever copies lets others have their turn in between.
    ///
    /// - Returns: whether that was the last one.
    package func copy(_ copy: inout MetricsCopy) -> Bool {
        if copy.epoch != epoch { copy = MetricsCopy(epoch: epoch) }
        if copy.words.isEmpty {
            copy.words = Array(UnsafeBufferPointer(start: words, count: Layout.count))
            copy.oldestEventStream = eventStreams.oldest
            copy.openEventStreams = eventStreams.count
            // Not the array itself: it would be copied by the next request that counts.
            copy.toolPlaces = toolPlaces.map { $0 }
            copy.routes.reserveCapacity(routeBlocks.count * Layout.routesInBlock * RouteLayout.count)
            copy.series.reserveCapacity(series.capacity)
        }
        var budget = Layout.blocksInPiece
        while copy.routeBlocks < routeBlocks.count {
            if budget == 0 { return false }
            budget -= 1
            copy.routes.append(
                contentsOf: UnsafeBufferPointer(
                    start: routeBlocks[copy.routeBlocks], count: Layout.routesInBlock * RouteLayout.count))
            copy.routeBlocks += 1
        }
        while copy.seriesBlocks < series.blocks.count {
            if budget == 0 { return false }
            budget -= 1
            copy.series.append(contentsOf: series.block(copy.seriesBlocks))
            copy.seriesBlocks += 1
        }
        return true
    }
}

/// What one worker had counted at one moment.
package struct MetricsCopy: Sendable {
    let epoch: Int
    var words: [UInt64] = []
    var routes: [UInt64] = []
    var series: [UInt64] = []
    var toolPlaces: [UInt64] = []
    var routeBlocks = 0
    var seriesBlocks = 0
    package fileprivate(set) var openEventStreams = 0
    /// When the oldest of them began, by the loop's clock; `nil` when there is none.
    package fileprivate(set) var oldestEventStream: UInt64?

    init(epoch: Int) { self.epoch = epoch }
    /// Nothing yet; to be filled by ``WorkerMetrics/copy(_:)``.
    package init() { epoch = -1 }
}
