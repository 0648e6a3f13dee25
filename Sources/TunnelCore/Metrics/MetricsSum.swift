/// What all workers of a proxy counted together.
///
/// Only routes that the proxy has counters for take part, so the labels are those of the configuration, whatever was asked for.
package struct MetricsSum: Sendable {
    /// A route whose counters are shown.
    package struct Route: Sendable {
        package let name: String
        /// Told by a label of its own where there are several.
        package let tunnel: String?
        package let slot: RouteSlot

        package init(name: String, tunnel: String? = nil, slot: RouteSlot) {
            (self.name, self.tunnel, self.slot) = (name, tunnel, slot)
        }
    }

    struct Exemplar {
        let place: Int
        let bucket: Int
        let traceID: (high: UInt64, low: UInt64)
        let nanoseconds: UInt64
        let at: UInt64
    }

    let routes: [Route]
    var words = [UInt64](repeating: 0, count: Layout.count)
    /// For each route its words up to the exemplar.
    var routeWords: [UInt64]
    /// For each route the places of its series in `series`, from 1.
    var places: [Int]
    var exemplars: [Exemplar?]
    /// Operations by method and error.
    var operationPlaces = [Int](repeating: 0, count: OperationMethod.count * OperationError.allCases.count)
    var toolPlaces = [Int](repeating: 0, count: ToolPlace.count * OperationError.allCases.count)
    var series: [UInt64] = []
    package private(set) var openEventStreams = 0
    package private(set) var oldestEventStream: UInt64?

    private static let routePlaces = RouteLayout.count - RouteLayout.places

    package init(_ routes: [Route]) {
        self.routes = routes
        routeWords = [UInt64](repeating: 0, count: routes.count * RouteLayout.exemplar)
        places = [Int](repeating: 0, count: routes.count * Self.routePlaces)
        exemplars = [Exemplar?](repeating: nil, count: routes.count)
    }

    package mutating func add(_ copy: MetricsCopy) {
        guard !copy.words.isEmpty else { return }
        for index in 0..<Layout.operations {
            let isTime = index >= Layout.lastSeen && index < Layout.lastSeen + FarSideEvent.allCases.count
            words[index] = isTime ? max(words[index], copy.words[index]) : words[index] &+ copy.words[index]
        }
        for index in operationPlaces.indices {
            operationPlaces[index] = add(copy.words[Layout.operations + index], of: copy, to: operationPlaces[index])
        }
        for index in copy.toolPlaces.indices {
            toolPlaces[index] = add(copy.toolPlaces[index], of: copy, to: toolPlaces[index])
        }
        for index in routes.indices { add(copy, route: index) }
        openEventStreams += copy.openEventStreams
        if let oldest = copy.oldestEventStream { oldestEventStream = min(oldest, oldestEventStream ?? .max) }
    }

    private mutating func add(_ copy: MetricsCopy, route index: Int) {
        let slot = routes[index].slot
        let base = slot.index * RouteLayout.count
        guard base + RouteLayout.count <= copy.routes.count,
            copy.routes[base + RouteLayout.generation] == slot.generation
        else { return }
        for word in RouteLayout.active..<RouteLayout.exemplar {
            routeWords[index * RouteLayout.exemplar + word] &+= copy.routes[base + word]
        }
        let exemplar = copy.routes[base + RouteLayout.exemplar]
        for place in 0..<Self.routePlaces {
            let own = copy.routes[base + RouteLayout.places + place]
            guard own > 0 else { continue }
            let sum = index * Self.routePlaces + place
            places[sum] = add(own, of: copy, to: places[sum])
            guard own == exemplar else { continue }
            let words = copy.routes[(base + RouteLayout.exemplar + 1)..<(base + RouteLayout.places)].map { $0 }
            if words[4] >= exemplars[index]?.at ?? 0 {
                exemplars[index] = Exemplar(
                    place: place, bucket: Int(words[0]), traceID: (words[1], words[2]), nanoseconds: words[3],
                    at: words[4])
            }
        }
    }

    /// Adds a worker's series to ours, which is made if need be.
    ///
    /// - Returns: the place of ours.
    private mutating func add(_ own: UInt64, of copy: MetricsCopy, to place: Int) -> Int {
        guard own > 0 else { return place }
        let from = (Int(own) - 1) * SeriesLayout.count
        // One that was made behind the piece of the copy that it lies in shows next time.
        guard from + SeriesLayout.count <= copy.series.count else { return place }
        var place = place
        if place == 0 {
            series.append(contentsOf: repeatElement(0, count: SeriesLayout.count))
            place = series.count / SeriesLayout.count
        }
        let to = (place - 1) * SeriesLayout.count
        for index in 0..<SeriesLayout.count { series[to + index] &+= copy.series[from + index] }
        return place
    }
}
