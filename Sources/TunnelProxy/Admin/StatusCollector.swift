internal import TunnelCore
internal import TunnelIO

/// Gathers from the loops what `/status` and the page say of requests, every few seconds and whenever somebody asks.
///
/// A loop gives copies between two turns; all the counting, sorting and writing is done on the loop of the admin listener.
final class StatusCollector {
    /// A request that is over, in words.
    struct Request {
        let finished: UInt64
        let facts: Status.RequestFacts
    }

    /// Requests that failed of one cause, since the start.
    struct Failures {
        var count: UInt64 = 0
        var last: UInt64 = 0
        /// Routes for which they were seen, the latest last.
        var routes: [String] = []
    }

    /// When the far side was last heard of, in nanoseconds of the loops' clock; 0 for never.
    struct FarSideSeen: Sendable {
        var connection: UInt64 = 0
        var ping: UInt64 = 0
        var request: UInt64 = 0

        mutating func add(_ other: FarSideSeen) {
            connection = max(connection, other.connection)
            ping = max(ping, other.ping)
            request = max(request, other.request)
        }
    }

    /// What one loop gives.
    private struct Copy: Sendable {
        let entries: [RecentExchanges.Entry]
        let tallies: (generation: UInt64, tallies: [RecentExchanges.Tally])
        let failures: [UInt64]
        /// By ``LimitHit``.
        let limits: [UInt64]
        let seen: FarSideSeen
    }

    private let context: AdminSite.Context
    private let readiness: ProxyReadiness
    private let reactor: Reactor
    private var lastGathered: UInt64 = 0
    private var isGathering = false
    /// By loop: the sums of the last answer, for one that does not answer this time.
    private var failuresOfLoops: [[UInt64]]
    private var limitsOfLoops: [[UInt64]]
    /// Names of the routes of the last generations.
    private var routeNames: [(generation: UInt64, names: [String])] = []
    private lazy var timer = Deadline(on: reactor) { [unowned self] in beat() }

    private(set) var history = RouteHistory()
    /// The newest first.
    private(set) var requests: [Request] = []
    private(set) var failures: [FailureCause: Failures] = [:]
    private(set) var seen = FarSideSeen()

    private static let interval: UInt64 = 5_000_000_000
    /// What is younger need not be gathered anew, however many ask.
    private static let freshness: UInt64 = 500_000_000
    private static let limit = Duration.seconds(1)
    private static let maxRequests = 200
    private static let maxRoutesOfFailure = 20

    init(_ context: AdminSite.Context, _ readiness: ProxyReadiness, on reactor: Reactor) {
        (self.context, self.readiness, self.reactor) = (context, readiness, reactor)
        failuresOfLoops = Array(repeating: [], count: context.loops.count)
        limitsOfLoops = failuresOfLoops
    }

    func start() { beat() }
    func stop() { timer.cancel() }

    private func beat() {
        timer.set(after: Self.interval)
        reactor.spawn(with: self) { await $0.gather() }
    }

    /// Brings everything up to date.
    func gather() async {
        let now = Reactor.clock()
        guard !isGathering, lastGathered == 0 || now &- lastGathered >= Self.freshness else { return }
        isGathering = true
        let moment = lastGathered
        let answers = await LoopSurvey.of(context.loops, within: Self.limit, on: reactor) { worker in
            Copy(
                entries: worker.recent.entries(after: moment), tallies: worker.recent.takeTallies(),
                failures: worker.recent.failures, limits: LimitHit.allCases.map { worker.metrics[.limit($0)] },
                seen: worker.farSideSeen)
        }
        // Not later: what ends between the copies of two loops has its place in the next ones.
        lastGathered = now
        isGathering = false
        take(answers, now: Reactor.clock())
    }

    private func take(_ answers: [Copy?], now: UInt64) {
        let snapshot = context.shared.snapshot
        if routeNames.last?.generation != snapshot.generation {
            routeNames = routeNames.suffix(3) + [(snapshot.generation, snapshot.names.map(\.label))]
            history.keep(only: Set(snapshot.names.map(\.label)))
        }
        history.advance(to: now)
        var entries: [RecentExchanges.Entry] = []
        for (index, answer) in answers.enumerated() {
            guard let answer else { continue }
            entries += answer.entries
            failuresOfLoops[index] = answer.failures
            limitsOfLoops[index] = answer.limits
            var news = answer.seen
            // Our own self-test is no word of the far side; what was heard before stands.
            if readiness.mayHaveOpenedTunnel(at: news.connection) { news.connection = 0 }
            seen.add(news)
            for (route, tally) in answer.tallies.tallies.enumerated() where tally.requests > 0 {
                guard let name = name(of: Int32(route), answer.tallies.generation) else { continue }
                history.add(tally, to: name)
                if tally.failures > 0 { note(tally.lastCause, at: tally.lastFailed, route: name) }
            }
        }
        for entry in entries.sorted(by: { $0.outcome.finished < $1.outcome.finished }) { take(entry, now: now) }
        requests.removeLast(max(0, requests.count - Self.maxRequests))
        for cause in FailureCause.allCases where cause != .none {
            failures[cause]?.count = failuresOfLoops.reduce(0) { $0 &+ ($1.isEmpty ? 0 : $1[Int(cause.rawValue)]) }
        }
    }

    private func take(_ entry: RecentExchanges.Entry, now: UInt64) {
        // It may have been copied before, when it ended in the moment of the last survey.
        guard
            !requests.prefix(64).contains(where: {
                $0.finished == entry.outcome.finished && $0.facts.id == entry.names.id
            })
        else {
            return
        }
        let route = name(of: entry.outcome.route, entry.outcome.generation)
        if entry.outcome.cause != .none { note(entry.outcome.cause, at: entry.outcome.finished, route: route) }
        let names = entry.names
        func milliseconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds / 10_000) / 100 }
        let facts = Status.RequestFacts(
            id: names.id, time: Self.wallTime(of: entry.outcome.finished, now: now).toTheMillisecond, ageSeconds: 0,
            route: route,
            method: names.method, host: names.host, path: names.path, status: Int(entry.outcome.status),
            durationMs: milliseconds(entry.duration),
            firstByteMs: entry.outcome.firstByte > 0 ? milliseconds(entry.outcome.firstByte) : nil,
            bytesIn: entry.bytesIn, bytesOut: entry.bytesOut,
            cause: entry.outcome.cause == .none ? nil : entry.outcome.cause.id)
        requests.insert(Request(finished: entry.outcome.finished, facts: facts), at: 0)
    }

    /// How often each limit was reached since the start, where it was.
    var limitHits: [Status.LimitHits] {
        LimitHit.allCases.compactMap { limit in
            let count = limitsOfLoops.reduce(0) { $0 &+ ($1.isEmpty ? 0 : $1[limit.rawValue]) }
            return count == 0 ? nil : Status.LimitHits(limit: limit.label, count: count)
        }
    }

    private func note(_ cause: FailureCause, at moment: UInt64, route: String?) {
        var group = failures[cause] ?? Failures()
        group.last = max(group.last, moment)
        if let route {
            group.routes.removeAll { $0 == route }
            group.routes = group.routes.suffix(Self.maxRoutesOfFailure - 1) + [route]
        }
        failures[cause] = group
    }

    private func name(of route: Int32, _ generation: UInt64) -> String? {
        guard route >= 0, let names = routeNames.last(where: { $0.generation == generation })?.names else { return nil }
        return Int(route) < names.count ? names[Int(route)] : nil
    }

    /// The time of day of a moment of the loops' clock.
    static func wallTime(of moment: UInt64, now: UInt64, _ wall: UnixTime = SystemClock.now()) -> UnixTime {
        let age = Int64(clamping: now > moment ? now - moment : 0)
        let nanoseconds = wall.seconds * 1_000_000_000 + wall.nanoseconds - age
        return UnixTime(seconds: nanoseconds / 1_000_000_000, nanoseconds: nanoseconds % 1_000_000_000)
    }
}

extension UnixTime {
    fileprivate var toTheMillisecond: String { description }
}

extension Worker {
    fileprivate var farSideSeen: StatusCollector.FarSideSeen {
        StatusCollector.FarSideSeen(
            connection: metrics.lastSeen(.connection), ping: metrics.lastSeen(.ping),
            request: metrics.lastSeen(.request))
    }
}
