import Testing
import TunnelIO
import TunnelTestSupport

@testable import TunnelProxy

/// Requests that wait for a place on a connection of HTTP/2.
@Suite struct HTTP2GroupTests {
    private final class Line {
        let group = HTTP2Group()
        let reactor: Reactor
        /// Of whoever waits no more: whether it has got nothing.
        var hasFailed: [Bool] = []

        init(on reactor: Reactor) { self.reactor = reactor }

        func wait(_ time: UInt64) async {
            hasFailed.append(await group.wait(on: reactor, within: time, Cancellation()) != nil)
        }
    }

    /// Whose time is over stands in line until its task has run. A place that comes free in between is the next one's.
    @Test func aPlaceIsNotOfferedToWhoHasGivenUp() throws {
        let hasFailed = try onLoop { loop in
            let line = Line(on: loop.reactor)
            for time in [50_000_000, 1_000_000_000_000] as [UInt64] {
                loop.reactor.spawn(with: line) { await $0.wait(time) }
            }
            await turns(on: loop.reactor)
            // Behind the end of the first one's time; the loop comes to see both at once.
            let free = Deadline(on: loop.reactor) { line.group.wakeOne() }
            free.set(after: 50_000_001)
            let end = loop.reactor.now + 52_000_000
            while Reactor.clock() < end {}
            _ = await turns(on: loop.reactor) { !line.hasFailed.isEmpty }
            await turns(on: loop.reactor)
            let found = line.hasFailed
            line.group.wakeAll()
            _ = await turns(on: loop.reactor) { line.hasFailed.count == 2 }
            return found
        }
        #expect(hasFailed == [true, false])
    }
}
