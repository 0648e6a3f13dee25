import Testing

@testable import TunnelCore

private typealias H = HTTP2Harness

@Suite struct HTTP2SchedulerTests {
    /// Opens streams with their Priority (or none) and offers each `count` bytes.
    private static func peer(_ priorities: [String?], _ count: Int = 1 << 20, connection: Int = 1 << 30) -> HTTP2Harness
    {
        var peer = HTTP2Harness()
        peer.feed(H.settings((.initialWindowSize, 1 << 30)) + H.windowUpdate(0, connection))
        for (index, priority) in priorities.enumerated() {
            let id = UInt32(index * 2 + 1)
            peer.feed(priority.map { H.get(id, "priority: \($0)") } ?? H.get(id))
            peer.respond(id)
            peer.offer(count, on: id)
        }
        return peer
    }

    private static func bytes(_ turns: [HTTP2DataTurn]) -> [UInt32: Int] {
        turns.reduce(into: [:]) { $0[$1.stream, default: 0] += $1.count }
    }

    /// Without a word about priorities all have the same bytes after any number of rounds, and a newcomer waits for one round.
    @Test func takesTurnsByBytes() {
        var peer = Self.peer([nil, nil, nil])
        let step1 = peer.turns(atMost: 30)
        #expect(Self.bytes(step1) == [1: 163_840, 3: 163_840, 5: 163_840])
        peer.feed(H.get(7))
        peer.respond(7)
        peer.offer(100, on: 7)
        let step2 = peer.turns(atMost: 4)
        #expect(step2.map(\.stream).contains(7))
    }

    /// A stream with little to send does not lose to those with much: an event goes within a round.
    @Test func anEventIsNotBehindADownload() {
        var peer = Self.peer([nil, nil])
        for _ in 0..<20 {
            _ = peer.turns(atMost: 5)
            peer.feed(H.get(peer.connection.lastPeerStream + 2))
            let id = peer.connection.lastPeerStream
            peer.respond(id)
            peer.offer(80, on: id)
            let turns = peer.turns(atMost: 3)
            #expect(turns.contains(HTTP2DataTurn(stream: id, count: 80, endsStream: false)))
            peer.connection.release(id)
        }
    }

    @Test func theMoreUrgentGoesFirst() {
        var peer = Self.peer(["u=5", "u=1, i", "u=3"], 160_000)
        let turns = peer.turns()
        let bytes = Self.bytes(Array(turns.prefix(10)))
        #expect(bytes[3] == 160_000, "\(bytes)")
        #expect(turns.last?.stream == 1)
    }

    /// RFC 9218 §10: what is not incremental is sent one after another, yet in turn with what is.
    @Test func sequentialStreamsGoOneAfterAnother() {
        var peer = Self.peer(["u=3", "u=3", "u=3, i"], 65_536)
        let order = peer.turns().map(\.stream)
        #expect(order.filter { $0 != 5 } == [1, 1, 1, 1, 3, 3, 3, 3])
        #expect(order.prefix(8).filter { $0 == 5 }.count == 4)
    }

    @Test func theLeastUrgentDoesNotStarve() {
        var peer = Self.peer(["u=0", "u=7"], 1 << 24)
        let bytes = Self.bytes(peer.turns(atMost: 320))
        #expect(bytes[3] == 20 * 16_384)
    }

    @Test func priorityUpdateChangesTheOrder() {
        var peer = Self.peer(["u=3, i", "u=3, i"])
        _ = peer.turns(atMost: 4)
        peer.feed(HTTP2FrameTests.frame(.priorityUpdate, [], 0, [0, 0, 0, 3] + Array("u=1".utf8)))
        let step3 = peer.turns(atMost: 10)
        #expect(Set(step3.map(\.stream)) == [3])
        peer.feed(HTTP2FrameTests.frame(.priorityUpdate, [], 0, [0, 0, 0, 3] + Array("u=6".utf8)))
        let step4 = peer.turns(atMost: 1)
        #expect(Set(step4.map(\.stream)) == [1])
    }

    /// A window that is closed holds its own stream only.
    @Test func aStreamThatStandsStillHoldsNobody() {
        var peer = HTTP2Harness()
        for id in [UInt32(1), 3] {
            peer.feed(H.get(id))
            peer.respond(id)
        }
        peer.offer(1 << 20, on: 1)
        let step5 = peer.turns()
        #expect(Self.bytes(step5) == [1: 65_535])
        peer.feed(H.windowUpdate(0, 1 << 20))
        peer.offer(1_000, on: 3)
        let step6 = peer.turns()
        #expect(Self.bytes(step6) == [3: 1_000])
        peer.feed(H.windowUpdate(1, 500))
        let step7 = peer.turns()
        #expect(Self.bytes(step7) == [1: 500])
    }

    /// What the caller has room for, and no more.
    @Test func keepsToTheRoom() {
        var peer = Self.peer([nil])
        let turn = peer.connection.nextData(room: 100, now: peer.now)
        #expect(turn == HTTP2DataTurn(stream: 1, count: 100, endsStream: false))
        let none = peer.connection.nextData(room: 0, now: peer.now)
        #expect(none == nil)
    }

    static let values: [(value: String, urgency: Int, isIncremental: Bool)] = [
        ("", 3, true), ("u=0", 0, false), ("u=7, i", 7, true), ("i", 3, true), ("i=?0", 3, false),
        ("i=?1,u=2", 2, true),
        ("u=8", 3, true), ("u=-1", 3, true), ("u=12", 3, true), ("x=1, u=4;a=b", 4, false), ("u=1, u=2", 2, false),
        ("U=1", 3, true), ("\"u=1\"", 3, true),
    ]

    @Test(arguments: values) func readsPriorities(_ row: (value: String, urgency: Int, isIncremental: Bool)) {
        let value = Array(row.value.utf8)
        let priority = HTTP2Priority(value.span)
        #expect(priority.urgency == row.urgency && priority.isIncremental == row.isIncremental, "\(row.value)")
    }
}
