import Testing

@testable import TunnelCore

private typealias H = HTTP2Harness

/// What a connection keeps for streams that are open and say nothing.
@Suite struct HTTP2MemoryTests {
    @Test func aStreamThatRestsTakesLittle() {
        var limits = HTTP2Limits()
        limits.maxStreams = 1_000
        var peer = HTTP2Harness(limits: limits)
        for number in 0..<1_000 {
            peer.feed(H.get(UInt32(number * 2 + 1), "x-long: " + String(repeating: "v", count: 1_000)))
            peer.respond(UInt32(number * 2 + 1))
        }
        peer.drain()
        #expect(peer.connection.streamCount == 1_000)
        peer.connection.releaseMemory()
        let slots = peer.connection.streams.slots.capacity * MemoryLayout<HTTP2Stream>.stride
        #expect(slots < 1_000 * 300, "\(slots)")
        // Heads are with whoever serves them.
        let heads = peer.connection.list.bytes.capacity + peer.connection.blockBytes.capacity
        let frames = peer.connection.control.capacity
        #expect(heads == 0 && frames == 0)
        #expect(peer.connection.list.fields.capacity == 0 && peer.connection.request.fields.capacity == 0)
    }

    /// A large block in pieces leaves no memory behind.
    @Test func aLargeBlockLeavesNothing() {
        var peer = HTTP2Harness()
        let block = H.block(HTTP2Samples.get + ["x-long: " + String(repeating: "{", count: 10_000)])
        peer.feed(HTTP2FrameTests.frame(.headers, .endStream, 1, Array(block[..<9_000])))
        let before = peer.connection.blockBytes.capacity
        #expect(before >= 9_000)
        // What is under way stays.
        peer.connection.releaseMemory()
        peer.feed(HTTP2FrameTests.frame(.continuation, .endHeaders, 1, Array(block[9_000...])))
        #expect(peer.error == nil && peer.events == ["request 1 end"])
        let after = peer.connection.blockBytes.capacity
        #expect(after == 0)
    }

    /// And afterwards all goes on as before.
    @Test func goesOnAfterwards() {
        var peer = HTTP2Harness()
        for stream in [UInt32(1), 3] {
            peer.feed(H.get(stream))
            peer.respond(stream, end: true)
            peer.connection.release(stream)
            peer.drain()
            peer.connection.releaseMemory()
        }
        #expect(peer.events == ["request 1 end", "request 3 end"])
        #expect(peer.sent == ["headers 1 end", "headers 3 end"])
    }
}
