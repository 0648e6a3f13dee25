import Testing

@testable import TunnelProxy

@Suite struct HeartbeatTests {
    @Test func pingsAtEachInterval() {
        var heartbeat = Heartbeat(pingInterval: 10, idleTimeout: 0, now: 100)
        #expect(heartbeat.next(at: 100) == 10)
        #expect(heartbeat.beat(at: 109) == nil)
        #expect(heartbeat.next(at: 109) == 1)
        #expect(heartbeat.beat(at: 110) == .ping)
        #expect(heartbeat.next(at: 110) == 10)
        #expect(heartbeat.beat(at: 110) == nil)
        // Late by any time, it is one ping.
        #expect(heartbeat.beat(at: 175) == .ping)
        #expect(heartbeat.next(at: 175) == 10)
    }

    @Test func givesUpAfterSilence() {
        var heartbeat = Heartbeat(pingInterval: 0, idleTimeout: 20, now: 100)
        #expect(heartbeat.next(at: 100) == 20)
        #expect(heartbeat.beat(at: 119) == nil)
        heartbeat.arrived(at: 119)
        #expect(heartbeat.next(at: 120) == 19)
        #expect(heartbeat.beat(at: 138) == nil)
        #expect(heartbeat.beat(at: 139) == .giveUp)
    }

    /// Both are looked at; whoever is silent for too long gets no ping any more.
    @Test func theEarlierOfBothIsNext() {
        var heartbeat = Heartbeat(pingInterval: 10, idleTimeout: 25, now: 0)
        #expect(heartbeat.next(at: 0) == 10)
        #expect(heartbeat.beat(at: 10) == .ping)
        #expect(heartbeat.beat(at: 20) == .ping)
        #expect(heartbeat.next(at: 20) == 5)
        #expect(heartbeat.beat(at: 30) == .giveUp)
    }

    @Test func zeroIsNever() {
        var heartbeat = Heartbeat(pingInterval: 0, idleTimeout: 0, now: 5)
        #expect(heartbeat.next(at: .max) == nil)
        #expect(heartbeat.beat(at: .max) == nil)
    }

    /// A deadline that is overdue is due at once, not never.
    @Test func whatIsOverdueIsDueNow() {
        let heartbeat = Heartbeat(pingInterval: 10, idleTimeout: 0, now: 0)
        #expect(heartbeat.next(at: 10) == 1)
        #expect(heartbeat.next(at: 1_000) == 1)
    }
}
