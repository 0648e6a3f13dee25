import Testing

@testable import TunnelProxy

@Suite struct RecentExchangesTests {
    private func note(
        _ recent: inout RecentExchanges, at finished: UInt64, route: Int32 = 0, generation: UInt64 = 1,
        cause: FailureCause = .none, routes: Int = 2
    ) {
        recent.note(routes: routes) { entry in
            entry = RecentExchanges.Entry()
            (entry.outcome.finished, entry.outcome.route, entry.outcome.generation, entry.outcome.cause) = (
                finished, route, generation, cause
            )
            (entry.outcome.firstByte, entry.outcome.status) = (
                cause == .none ? 1_000_000 : 0, cause == .none ? 200 : 502
            )
        }
    }

    @Test(arguments: [0, 1, 127, 128, 129, 300]) func keepsTheLast(_ count: Int) {
        var recent = RecentExchanges(isOn: true)
        for number in 0..<count { note(&recent, at: UInt64(number + 1)) }
        let kept = recent.entries(after: 0).map(\.outcome.finished)
        #expect(kept == (max(0, count - RecentExchanges.capacity)..<count).map { UInt64($0 + 1) })
        #expect(recent.entries(after: UInt64(max(0, count - 1))).count == min(count, 1))
    }

    @Test func countsByRouteUntilItIsAsked() {
        var recent = RecentExchanges(isOn: true)
        note(&recent, at: 1, route: 0)
        note(&recent, at: 2, route: 1, cause: .connectionRefused)
        note(&recent, at: 3, route: 1)
        // Without a route, and with one that there is not.
        note(&recent, at: 4, route: -1, cause: .routeUnknown)
        note(&recent, at: 5, route: 2)
        let (generation, tallies) = recent.takeTallies()
        #expect(generation == 1 && tallies.map(\.requests) == [1, 2] && tallies.map(\.failures) == [0, 1])
        #expect(
            tallies[1].lastCause == .connectionRefused && tallies[1].lastFailed == 2 && tallies[1].lastFinished == 3)
        #expect(tallies[1].timed == 1 && tallies[1].firstBytes == 1_000_000 && tallies[1].lastStatus == 200)
        #expect(recent.takeTallies().tallies.map(\.requests) == [0, 0])
        #expect(recent.failures[Int(FailureCause.routeUnknown.rawValue)] == 1)
    }

    /// A stream may end under routes that are long gone, where its number means another route.
    @Test func otherRoutesAreCountedAnew() {
        var recent = RecentExchanges(isOn: true)
        note(&recent, at: 1, generation: 5)
        note(&recent, at: 2, generation: 6, routes: 3)
        note(&recent, at: 3, generation: 5)
        let (generation, tallies) = recent.takeTallies()
        #expect(generation == 6 && tallies.map(\.requests) == [1, 0, 0])
        #expect(recent.entries(after: 0).count == 3)
    }

    @Test(
        arguments: [
            (200, FailureCause.none), (401, .none), (404, .none), (421, .hostRefused), (429, .rateLimited),
            (499, .none), (500, .serverError), (599, .serverError),
        ] as [(UInt16, FailureCause)])
    func statusesThatFail(_ status: UInt16, _ cause: FailureCause) { #expect(FailureCause(status: status) == cause) }

    /// The page leads from each cause to words and a remedy, those of the table of faults where it has the cause.
    @Test(arguments: FailureCause.allCases.filter { $0 != .none }) func everyCauseHasWords(_ cause: FailureCause) {
        let words = cause.words
        #expect(!cause.id.isEmpty && !words.title.isEmpty && !words.remedy.isEmpty && words.title != cause.id)
        let isOwn = [
            .methodRefused, .pathRefused, .limit, .shutdown, .requestMalformed, .requestStalled, .clientStalled,
            .misdirected,
        ].contains(cause)
        #expect((Fault.named(cause.id) == nil) == isOwn)
    }
}

@Suite struct RouteHistoryTests {
    private static let second: UInt64 = 1_000_000_000

    private func tally(_ requests: UInt64, failures: UInt64 = 0, finished: UInt64 = 1, failed: UInt64 = 0)
        -> RecentExchanges.Tally
    {
        var tally = RecentExchanges.Tally()
        (tally.requests, tally.failures, tally.timed, tally.firstBytes) = (
            requests, failures, requests, requests * 2_000_000
        )
        (tally.lastFinished, tally.lastFailed, tally.lastCause) = (finished, failed, failures > 0 ? .closed : .none)
        return tally
    }

    @Test func intervalsMoveOn() throws {
        var history = RouteHistory()
        history.advance(to: 1_000 * Self.second)
        history.add(tally(3, failures: 1), to: "a")
        history.advance(to: 1_009 * Self.second)
        history.add(tally(1), to: "a")
        history.advance(to: 1_010 * Self.second)
        history.add(tally(5), to: "a")
        let shown = try #require(history.history(of: "a"))
        #expect(shown.requests.count == RouteHistory.length && Array(shown.requests.suffix(3)) == [0, 4, 5])
        #expect(shown.failures.suffix(2) == [1, 0] && shown.latencyMs.suffix(3) == [nil, 2, 2])
        // Nine minutes and fifty seconds later the first is still there, and then it is not.
        history.advance(to: 1_590 * Self.second)
        #expect(history.history(of: "a")?.requests.first == 4)
        history.advance(to: 1_600 * Self.second)
        #expect(history.history(of: "a")?.requests.first == 5)
        // However long nobody has looked.
        history.advance(to: 9_999_999 * Self.second)
        #expect(history.history(of: "a") == nil && history.series["a"]?.total.requests == 9)
    }

    @Test func routesThatAreGoneAreForgotten() {
        var history = RouteHistory()
        history.add(tally(1), to: "a")
        history.add(tally(1), to: "b")
        history.keep(only: ["b", "c"])
        #expect(history.series.keys.sorted() == ["b"])
    }

    @Test func verdicts() {
        func verdict(_ tallies: [RecentExchanges.Tally], refusal: String? = nil) -> RouteVerdict {
            var history = RouteHistory()
            for tally in tallies { history.add(tally, to: "a") }
            return RouteVerdict.of(history.series["a"], refusal: refusal).verdict
        }
        #expect(verdict([]) == .idle && verdict([], refusal: "no") == .refused)
        #expect(verdict([tally(9)]) == .ok)
        #expect(verdict([tally(1, failures: 1, finished: 5, failed: 5)]) == .failing)
        #expect(verdict([tally(9), tally(1, failures: 1, finished: 5, failed: 5)]) == .failing)
        #expect(verdict([tally(1, failures: 1, finished: 5, failed: 5), tally(1, finished: 6)]) == .degraded)
    }
}
