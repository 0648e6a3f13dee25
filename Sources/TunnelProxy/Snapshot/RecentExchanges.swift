internal import TunnelCore

/// What the page shows of one loop's requests: the last of them, and how those of each route went since it was last asked.
///
/// It has its memory from the beginning: to note a request is to copy some numbers and up to ``Entry/room`` bytes. The loop
/// alone writes; who reads gets a copy.
struct RecentExchanges {
    /// One request that is over. Times in nanoseconds of the loops' clock.
    struct Entry: Sendable {
        /// For its number, method, host, and the beginning of its path.
        static let room = 224

        var outcome = Outcome()
        var duration: UInt64 = 0
        var bytesIn: UInt64 = 0
        var bytesOut: UInt64 = 0
        /// Its number, method, host and path, one behind the other, each up to here.
        var ends: (id: UInt8, method: UInt8, host: UInt8, path: UInt8) = (0, 0, 0, 0)
        var text = InlineArray<224, UInt8>(repeating: 0)
    }

    /// What of a request is counted.
    struct Outcome: Sendable {
        var finished: UInt64 = 0
        /// From its head to the first byte of its response; 0 where there was none.
        var firstByte: UInt64 = 0
        /// Of the snapshot that `route` is an index in.
        var generation: UInt64 = 0
        /// -1 where there is none.
        var route: Int32 = -1
        var status: UInt16 = 0
        var cause = FailureCause.none
    }

    /// The requests of one route since the last ``takeTallies()``.
    struct Tally: Sendable {
        var requests: UInt64 = 0
        var failures: UInt64 = 0
        /// Those that got a first byte, and how long that took in all.
        var timed: UInt64 = 0
        var firstBytes: UInt64 = 0
        var lastFinished: UInt64 = 0
        var lastFailed: UInt64 = 0
        var lastCause = FailureCause.none
        var lastStatus: UInt16 = 0
    }

    /// Entries that are kept.
    static let capacity = 128

    private var entries: [Entry]
    private var next = 0
    private var count = 0
    private var tallies: [Tally] = []
    private var generation: UInt64 = 0
    /// How often requests failed of each cause since the start, by its raw value.
    private(set) var failures: [UInt64]

    /// - Parameter isOn: without it nothing may be noted, and there is no memory for it.
    init(isOn: Bool) {
        entries = [Entry](repeating: Entry(), count: isOn ? Self.capacity : 0)
        failures = [UInt64](repeating: 0, count: FailureCause.allCases.count)
    }

    /// Notes a request.
    ///
    /// - Parameters:
    ///   - routes: how many there are in the snapshot of the entry.
    ///   - fill: writes the entry.
    mutating func note(routes: Int, _ fill: (inout Entry) -> Void) {
        fill(&entries[next])
        count(entries[next].outcome, routes)
        next = (next + 1) % Self.capacity
        count = min(count + 1, Self.capacity)
    }

    private mutating func count(_ outcome: Outcome, _ routes: Int) {
        failures[Int(outcome.cause.rawValue)] &+= 1
        guard outcome.route >= 0 else { return }
        if outcome.generation != generation {
            // A request may end under routes that are gone; it has its entry, and no line of a route to be counted in.
            guard outcome.generation > generation else { return }
            generation = outcome.generation
            tallies = [Tally](repeating: Tally(), count: routes)
        }
        let index = Int(outcome.route)
        guard tallies.indices.contains(index) else { return }
        tallies[index].add(outcome)
    }

    /// Entries behind a moment, the oldest first.
    func entries(after moment: UInt64) -> [Entry] {
        (0..<count).map { entries[(next + Self.capacity - count + $0) % Self.capacity] }.filter {
            $0.outcome.finished > moment
        }
    }

    /// What was counted since the last time, by route of one generation.
    mutating func takeTallies() -> (generation: UInt64, tallies: [Tally]) {
        defer { tallies = [Tally](repeating: Tally(), count: tallies.count) }
        return (generation, tallies)
    }
}

extension RecentExchanges.Tally {
    mutating func add(_ outcome: RecentExchanges.Outcome) {
        requests &+= 1
        lastFinished = outcome.finished
        lastStatus = outcome.status
        if outcome.firstByte > 0 {
            timed &+= 1
            firstBytes &+= outcome.firstByte
        }
        guard outcome.cause != .none else { return }
        failures &+= 1
        lastFailed = outcome.finished
        lastCause = outcome.cause
    }

    mutating func add(_ other: Self) {
        requests &+= other.requests
        failures &+= other.failures
        timed &+= other.timed
        firstBytes &+= other.firstBytes
        if other.lastFailed > lastFailed { (lastFailed, lastCause) = (other.lastFailed, other.lastCause) }
        if other.lastFinished > lastFinished { (lastFinished, lastStatus) = (other.lastFinished, other.lastStatus) }
    }
}

extension RecentExchanges.Entry {
    /// Its names as texts; bytes that are not UTF-8 become U+FFFD.
    var names: (id: String, method: String, host: String, path: String) {
        func part(_ from: UInt8, _ to: UInt8) -> String {
            let bytes = text.span.extracting(Int(from)..<Int(max(from, to)))
            return bytes.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        }
        return (part(0, ends.id), part(ends.id, ends.method), part(ends.method, ends.host), part(ends.host, ends.path))
    }
}
