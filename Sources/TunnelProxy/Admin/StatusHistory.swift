internal import TunnelCore

/// How each route did in the last minutes, by intervals, for a sparkline and a verdict.
struct RouteHistory: Sendable {
    /// One interval.
    static let seconds = 10
    /// Intervals that are kept: ten minutes.
    static let length = 60

    struct Series: Sendable {
        /// Since the route is there.
        fileprivate(set) var total = RecentExchanges.Tally()
        /// As a ring.
        fileprivate var intervals = [Interval](repeating: Interval(), count: RouteHistory.length)

        /// All of the intervals as one.
        var recent: Interval { intervals.reduce(into: Interval()) { $0.add($1) } }
    }

    struct Interval: Sendable, Equatable {
        var requests: UInt32 = 0
        var failures: UInt32 = 0
        /// Requests whose response began, and the milliseconds that this took in all.
        var timed: UInt32 = 0
        var milliseconds: Float = 0

        fileprivate mutating func add(_ other: Interval) {
            requests &+= other.requests
            failures &+= other.failures
            timed &+= other.timed
            milliseconds += other.milliseconds
        }

        /// The average time to the first byte, to a hundredth.
        var latencyMs: Double? { timed == 0 ? nil : (Double(milliseconds) / Double(timed) * 100).rounded() / 100 }
    }

    private(set) var series: [String: Series] = [:]
    /// Where the current interval is.
    private var current = 0
    private var begun: UInt64 = 0

    /// The intervals of a route, the oldest first; `nil` where all are empty.
    func history(of route: String) -> Status.History? {
        guard let series = series[route] else { return nil }
        let ordered = (1...Self.length).map { series.intervals[(current + $0) % Self.length] }
        guard ordered.contains(where: { $0.requests > 0 }) else { return nil }
        return Status.History(
            requests: ordered.map(\.requests), failures: ordered.map(\.failures), latencyMs: ordered.map(\.latencyMs))
    }

    /// Goes on to the interval that `now` lies in.
    ///
    /// - Parameter now: nanoseconds of the loops' clock.
    mutating func advance(to now: UInt64) {
        let interval = now / (UInt64(Self.seconds) * 1_000_000_000)
        guard interval > begun else { return }
        let steps = begun == 0 ? 0 : min(interval - begun, UInt64(Self.length))
        begun = interval
        for _ in 0..<steps {
            current = (current + 1) % Self.length
            for key in series.keys { series[key]?.intervals[current] = Interval() }
        }
    }

    /// Adds what a loop has counted.
    mutating func add(_ tally: RecentExchanges.Tally, to route: String) {
        guard tally.requests > 0 else { return }
        series[route, default: Series()].total.add(tally)
        series[route]?.intervals[current].add(
            Interval(
                requests: UInt32(clamping: tally.requests), failures: UInt32(clamping: tally.failures),
                timed: UInt32(clamping: tally.timed), milliseconds: Float(tally.firstBytes / 1_000) / 1_000))
    }

    /// Forgets routes that are gone.
    mutating func keep(only routes: Set<String>) {
        if series.keys.contains(where: { !routes.contains($0) }) { series = series.filter { routes.contains($0.key) } }
    }
}

extension RouteVerdict {
    /// - Parameters:
    ///   - refusal: why the policy refuses the upstream's literal address.
    static func of(_ series: RouteHistory.Series?, refusal: String?) -> (verdict: RouteVerdict, reason: String) {
        if let refusal { return (.refused, refusal) }
        guard let series else { return (.idle, "") }
        let recent = series.recent
        guard recent.requests > 0 else { return (.idle, "") }
        guard recent.failures > 0 else { return (.ok, "") }
        let words = series.total.lastCause.words.title
        if series.total.lastFailed >= series.total.lastFinished { return (.failing, words) }
        return (.degraded, "\(recent.failures) of \(recent.requests) failed: \(words)")
    }
}
