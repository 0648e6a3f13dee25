import Testing

@testable import TunnelCore

private typealias H = HTTP2Harness

/// PRIORITY_UPDATE ahead of the request that it is about (RFC 9218 §7.1).
@Suite struct HTTP2EarlyPriorityTests {
    private static func update(_ stream: UInt32, _ value: String) -> [UInt8] {
        var payload = ByteBuffer()
        payload.appendBigEndian(stream)
        return HTTP2FrameTests.frame(.priorityUpdate, [], 0, payload.array + Array(value.utf8))
    }

    private static func urgency(_ peer: borrowing HTTP2Harness, _ stream: UInt32) -> Int? {
        peer.connection.streams.find(stream).map { peer.connection.streams.slots[$0].priority.urgency }
    }

    @Test func isKeptForTheRequest() {
        var peer = HTTP2Harness()
        peer.feed(Self.update(3, "u=5") + Self.update(5, "u=6") + Self.update(3, "u=1, i") + H.get(1))
        peer.feed(H.get(3, "priority: u=7") + H.get(5) + H.get(7))
        #expect(Self.urgency(peer, 1) == 3)
        #expect(Self.urgency(peer, 3) == 1)
        #expect(Self.urgency(peer, 5) == 6)
        #expect(Self.urgency(peer, 7) == 3)
        // Once open, the next word counts.
        peer.feed(Self.update(3, "u=2"))
        #expect(Self.urgency(peer, 3) == 2)
    }

    /// The last eight, n and n+1; and none of a stream that is gone, or that no client may open.
    @Test func aFewAreKept() {
        for count in [UInt32(8), 9] {
            var peer = HTTP2Harness()
            for number in 1...count { peer.feed(Self.update(number * 2 + 1, "u=0")) }
            peer.feed(H.get(1))
            peer.connection.release(1)
            peer.feed(Self.update(1, "u=0") + Self.update(2, "u=0"))
            for number in 1...count { peer.feed(H.get(number * 2 + 1)) }
            #expect(peer.error == nil)
            #expect(Self.urgency(peer, 3) == (count == 8 ? 0 : 3))
            #expect((2...count).allSatisfy { Self.urgency(peer, $0 * 2 + 1) == 0 })
        }
    }
}
