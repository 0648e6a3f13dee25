import Glibc
import Testing
import TunnelCore
import TunnelIO

@Suite struct ReactorTests {
    /// Two descriptors are ready in one turn. The first one's handler closes the second and registers another in its
    /// slot: the report of the second is late, and must not reach the new one.
    @Test func aLateReportDoesNotReachWhoReusedTheSlot() throws {
        let (first, second) = (try socketPair(), try socketPair())
        let quiet = try Listener(.loopback(0), isShared: false)
        let (firstCalls, newCalls) = try onLoop { loop in
            let reactor = loop.reactor
            let new = Handler()
            let pair = [Handler(), Handler()]
            for (handler, descriptor) in zip(pair, [first.0, second.0]) {
                handler.registration = try reactor.register(descriptor, handler)
            }
            for (handler, other) in zip(pair, pair.reversed()) {
                handler.action = { [unowned other] in
                    guard new.registration == nil, let registration = other.registration else { return }
                    reactor.deregister(registration)
                    // Nobody connects to it, so a report can only be another's.
                    new.registration = try? reactor.registerListener(quiet.descriptor, isShared: false, new)
                }
            }
            // Both are writable from the start, and so in the next turn's reports.
            await turns(on: reactor)
            for registration in (pair + [new]).compactMap(\.registration) { reactor.deregister(registration) }
            return (pair.map(\.calls), new.calls)
        }
        #expect(firstCalls.reduce(0, +) == 1)
        #expect(newCalls == 0)
        for descriptor in [first.0, second.0] { close(descriptor) }
        withExtendedLifetime((first.1, second.1)) {}
    }

    /// The same for a call that a handler asked for itself.
    @Test func aCallAskedForDoesNotReachWhoReusedTheSlot() throws {
        let pair = try socketPair()
        let quiet = try Listener(.loopback(0), isShared: false)
        let calls = try onLoop { loop in
            let reactor = loop.reactor
            let (old, new) = (Handler(), Handler())
            let registration = try reactor.register(pair.0, old)
            await turns(on: reactor)
            let before = old.calls
            reactor.callAgain(registration)
            reactor.deregister(registration)
            let next = try reactor.registerListener(quiet.descriptor, isShared: false, new)
            await turns(on: reactor)
            reactor.deregister(next)
            return (old.calls - before, new.calls)
        }
        #expect(calls == (0, 0))
        close(pair.0)
        withExtendedLifetime(pair.1) {}
    }

    /// A registration that is ended twice ends nobody who got its slot in between.
    @Test func anEndedRegistrationEndsNobodyElse() throws {
        let (first, second) = (try socketPair(), try socketPair())
        let calls = try onLoop { loop in
            let reactor = loop.reactor
            let (old, new) = (Handler(), Handler())
            let registration = try reactor.register(first.0, old)
            reactor.deregister(registration)
            let next = try reactor.register(second.0, new)
            reactor.deregister(registration)
            await turns(on: reactor)
            let calls = new.calls
            reactor.deregister(next)
            return calls
        }
        // It is writable from the start.
        #expect(calls > 0)
        for descriptor in [first.0, second.0] { close(descriptor) }
        withExtendedLifetime((first.1, second.1)) {}
    }

    private final class Handler: ReadinessHandler {
        var registration: Registration?
        var action: () -> Void = {}
        private(set) var calls = 0

        func ready(_ readiness: Readiness) {
            calls += 1
            action()
        }
    }
}
