import Synchronization
import Testing
import TunnelIO
import TunnelTestSupport

@testable import TunnelProxy

@Suite struct TurnstileTests {
    private func places(_ limit: Int, queue: Int, milliseconds: UInt64 = 10_000) throws -> PlaceLimit {
        try #require(PlaceLimit(limit, queue: queue, timeout: milliseconds * 1_000_000, Turnstile()))
    }

    @Test func letsInSoManyAtATime() throws {
        let places = try places(2, queue: 0)
        #expect(places.turnstile.enter(limit: 2) && places.turnstile.enter(limit: 2))
        #expect(!places.turnstile.enter(limit: 2))
        places.turnstile.leave(limit: 2)
        #expect(places.turnstile.enter(limit: 2) && !places.turnstile.enter(limit: 2))
        // A reload has raised it.
        #expect(places.turnstile.enter(limit: 3) && !places.turnstile.enter(limit: 3))
    }

    @Test func whoWaitsGoesInAsOthersLeaveAndNobodyOvertakes() throws {
        let places = try places(1, queue: 2)
        try onLoop { loop in
            let reactor = loop.reactor
            #expect(places.turnstile.enter(limit: 1))
            var order: [Int] = []
            for number in 1...2 {
                reactor.spawn(
                    with: Work {
                        #expect(await places.turnstile.wait(places, on: reactor, Cancellation()))
                        order.append(number)
                    }
                ) { await $0.body() }
                while places.turnstile.waitingCount < number { await Task.yield() }
            }
            #expect(await !places.turnstile.wait(places, on: reactor, Cancellation()), "the queue is full")
            places.turnstile.leave(limit: 1)
            #expect(!places.turnstile.enter(limit: 1), "somebody waits")
            while order.count < 1 { await Task.yield() }
            places.turnstile.leave(limit: 1)
            while order.count < 2 { await Task.yield() }
            #expect(order == [1, 2] && places.turnstile.count == 1 && places.turnstile.waitingCount == 0)
        }
    }

    /// A reload has made a place, and nobody has called who waits for one: it is no newcomer's.
    @Test func aPlaceThatIsMadeIsNoNewcomers() throws {
        let places = try places(1, queue: 1)
        try onLoop { loop in
            let reactor = loop.reactor
            #expect(places.turnstile.enter(limit: 1))
            var isIn: Bool?
            reactor.spawn(
                with: Work { isIn = await places.turnstile.wait(places, on: reactor, Cancellation()) }
            ) { await $0.body() }
            while places.turnstile.waitingCount < 1 { await Task.yield() }
            #expect(!places.turnstile.enter(limit: 2))
            places.turnstile.leave(limit: 2)
            while isIn == nil { await Task.yield() }
            #expect(isIn == true && places.turnstile.count == 1)
        }
    }

    @Test func whoGivesUpLeavesNothingBehind() throws {
        let places = try places(1, queue: 1, milliseconds: 20)
        try onLoop { loop in
            #expect(places.turnstile.enter(limit: 1))
            #expect(await !places.turnstile.wait(places, on: loop.reactor, Cancellation()))
            let cancelled = Cancellation()
            cancelled.cancel()
            #expect(await !places.turnstile.wait(places, on: loop.reactor, cancelled))
            #expect(places.turnstile.waitingCount == 0 && places.turnstile.count == 1)
            places.turnstile.leave(limit: 1)
            #expect(places.turnstile.enter(limit: 1))
        }
    }

    /// Over threads: never more inside than allowed, nobody forgotten in the line, and all places free in the end.
    @Test func nobodyIsForgotten() throws {
        let places = try places(2, queue: 100, milliseconds: 30_000)
        let counts = Counts()
        try inParallel(4) {
            do {
                try onLoop { loop in
                    for _ in 0..<500 {
                        if !places.turnstile.enter(limit: 2) {
                            guard await places.turnstile.wait(places, on: loop.reactor, Cancellation()) else {
                                Issue.record("forgotten")
                                return
                            }
                        }
                        let now = counts.inside.add(1, ordering: .sequentiallyConsistent).newValue
                        _ = counts.most.max(now, ordering: .relaxed)
                        await Task.yield()
                        counts.inside.subtract(1, ordering: .sequentiallyConsistent)
                        places.turnstile.leave(limit: 2)
                        counts.served.add(1, ordering: .relaxed)
                    }
                }
            } catch { Issue.record("\(error)") }
        }
        #expect(counts.served.load(ordering: .relaxed) == 2_000 && counts.most.load(ordering: .relaxed) <= 2)
        #expect(places.turnstile.count == 0 && places.turnstile.waitingCount == 0)
    }

    private final class Counts: Sendable {
        let inside = Atomic<Int>(0)
        let most = Atomic<Int>(0)
        let served = Atomic<Int>(0)
    }

    private final class Work {
        let body: () async -> Void
        init(_ body: @escaping () async -> Void) { self.body = body }
    }
}
