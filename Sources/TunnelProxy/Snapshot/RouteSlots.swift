internal import TunnelCore

/// Where the counters of each route are, from one configuration to the next.
///
/// A route that stays keeps its slot, and one that comes back while its slot is still its own finds its counters again. Of
/// routes that a reload took out, the counters of the last ``maxGone`` are kept; those that went before give their slots away.
struct RouteSlots: Sendable {
    /// Routes that are gone, whose counters are still shown.
    static let maxGone = 100

    /// A route, among those of all tunnels.
    struct Name: Sendable, Hashable {
        let route: String
        /// `nil` where its tunnel is the only one.
        let tunnel: String?

        init(_ route: String, of tunnel: String? = nil) { (self.route, self.tunnel) = (route, tunnel) }
    }

    private struct Entry {
        /// `nil` once the slot is free.
        var name: Name?
        var generation: UInt64
        /// In which change the route went; `nil` while it is configured.
        var gone: UInt64?
    }
    /// By the index of the slot; the first is that of requests without a route.
    private var entries = [Entry(name: Name(""), generation: RouteSlot.none.generation, gone: nil)]
    private var changes: UInt64 = 0

    /// The slots of routes, in their order.
    private(set) var slots: [RouteSlot] = []

    /// - Parameters:
    ///   - names: of the routes of a configuration; each is different.
    ///   - previous: of the configuration before.
    init(_ names: [Name], after previous: RouteSlots? = nil) {
        if let previous { (entries, changes) = (previous.entries, previous.changes + 1) }
        let configured = Set(names)
        var known: [Name: Int] = [:]
        for index in entries.indices.dropFirst() {
            guard let name = entries[index].name else { continue }
            known[name] = index
            entries[index].gone = configured.contains(name) ? nil : entries[index].gone ?? changes
        }
        freeOldest()
        var free = entries.indices.filter { entries[$0].name == nil }
        slots = names.map { name in
            if let index = known[name], entries[index].name != nil { return slot(index) }
            guard let index = free.popLast() else {
                entries.append(Entry(name: name, generation: 1, gone: nil))
                return slot(entries.count - 1)
            }
            entries[index] = Entry(name: name, generation: entries[index].generation + 1, gone: nil)
            return slot(index)
        }
    }

    /// All whose counters are shown.
    var shown: [MetricsSum.Route] {
        entries.indices.compactMap { index in
            entries[index].name.map { MetricsSum.Route(name: $0.route, tunnel: $0.tunnel, slot: slot(index)) }
        }
    }

    private func slot(_ index: Int) -> RouteSlot { RouteSlot(index: index, generation: entries[index].generation) }

    private mutating func freeOldest() {
        let gone = entries.indices.filter { entries[$0].gone != nil && entries[$0].name != nil }
            .sorted { (entries[$0].gone ?? 0, $0) < (entries[$1].gone ?? 0, $1) }
        for index in gone.dropLast(RouteSlots.maxGone) { entries[index].name = nil }
    }
}
