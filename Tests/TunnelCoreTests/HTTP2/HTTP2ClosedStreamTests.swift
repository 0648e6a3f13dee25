import Testing

@testable import TunnelCore

private typealias H = HTTP2Harness
private func frame(_ type: HTTP2FrameType, _ flags: HTTP2Flags, _ stream: UInt32, _ payload: [UInt8] = []) -> [UInt8] {
    HTTP2FrameTests.frame(type, flags, stream, payload)
}

/// Frames behind the end of an exchange, whose stream has been released (RFC 9113 §5.1).
@Suite struct HTTP2ClosedStreamTests {
    private static let goAway = "goaway 1 STREAM_CLOSED"
    private static let misfit = "goaway 1 PROTOCOL_ERROR"

    static let rows: [(name: String, bytes: [UInt8], sent: [String])] = [
        ("closed: DATA", H.data(1, 4), [goAway]), ("closed: empty DATA", H.data(1, 0, end: true), [goAway]),
        ("closed: HEADERS", H.get(1), [goAway]),
        ("closed: CONTINUATION", frame(.continuation, .endHeaders, 1), [misfit]),
        ("closed: PRIORITY", frame(.priority, [], 1, [0, 0, 0, 0, 9]), []),
        ("closed: WINDOW_UPDATE", H.windowUpdate(1, 1), []), ("closed: RST_STREAM", H.reset(1), []),
        ("closed: PRIORITY_UPDATE", frame(.priorityUpdate, [], 0, [0, 0, 0, 1, 0x75, 0x3D, 0x31]), []),
        ("closed: WINDOW_UPDATE by 0", frame(.windowUpdate, [], 1, [0, 0, 0, 0]), ["reset 1 PROTOCOL_ERROR"]),
        ("closed: PRIORITY of 4 bytes", frame(.priority, [], 1, [0, 0, 0, 0]), ["reset 1 FRAME_SIZE_ERROR"]),
    ]

    @Test(arguments: rows.indices) func afterAnExchange(_ index: Int) {
        for way in 0..<3 {
            var peer = HTTP2Harness()
            // The end comes with the head, with DATA, with trailers.
            switch way {
            case 0: peer.feed(H.get(1))
            case 1: peer.feed(H.post(1) + H.data(1, 3, end: true))
            default: peer.feed(H.post(1) + H.headers(1, ["x-a: b"]))
            }
            peer.respond(1, end: true)
            peer.connection.release(1)
            peer.drain()
            peer.forget()
            peer.feed(Self.rows[index].bytes)
            #expect(peer.sent == Self.rows[index].sent, "\(Self.rows[index].name)")
            #expect(peer.error == nil || peer.sent.last?.hasPrefix("goaway") == true)
            #expect(peer.events.isEmpty)
        }
    }

    /// What we reset ourselves may have been on its way: nothing of it is an error, and its DATA counts for the connection.
    @Test func afterOurReset() {
        var peer = HTTP2Harness()
        peer.feed(H.post(1))
        peer.connection.reset(1, .cancel)
        peer.connection.release(1)
        peer.drain()
        peer.forget()
        let credit = peer.connection.credit
        peer.feed(H.data(1, 100) + H.windowUpdate(1, 1) + H.headers(1, ["x-a: b"]) + H.reset(1))
        #expect(peer.error == nil && peer.sent.isEmpty && peer.events.isEmpty)
        #expect(peer.connection.credit == credit - 100)
    }

    /// RFC 9113 §5.1.2, with the setting itself and one more.
    @Test func refusesOneStreamTooMany() {
        var limits = HTTP2Limits()
        limits.maxStreams = 3
        var peer = HTTP2Harness(limits: limits)
        peer.feed(H.get(1) + H.get(3) + H.get(5))
        #expect(peer.events.count == 3 && peer.sent.isEmpty)
        peer.feed(H.get(7))
        #expect(peer.error == nil && peer.sent == ["reset 7 REFUSED_STREAM"])
        peer.connection.release(1)
        peer.feed(H.get(9))
        #expect(peer.events.last == "request 9 end")
    }

    /// How the last streams ended is known for twice as many as may be open. What comes on one that is forgotten may still
    /// have been on its way when we reset it: it costs no other stream anything, but it counts.
    @Test func remembersTheLast() {
        for (maxStreams, known) in [(128, 256), (129, 512)] {
            var limits = HTTP2Limits()
            limits.maxStreams = maxStreams
            for abuse in HTTP2Abuse.allCases { limits[abuse] = HTTP2Rate(burst: 1 << 30, perSecond: 0) }
            // One DATA frame while it is known, one frame of each kind when it is not.
            limits[.ignoredFrame] = HTTP2Rate(burst: 3, perSecond: 0)
            var peer = HTTP2Harness(limits: limits)
            func openAndReset(_ stream: UInt32) {
                peer.feed(H.post(stream))
                peer.connection.reset(stream, .cancel)
                peer.connection.release(stream)
            }
            openAndReset(1)
            for number in 1..<known { openAndReset(UInt32(number * 2 + 1)) }
            peer.feed(H.data(1, 1))
            #expect(peer.error == nil)
            openAndReset(UInt32(known * 2 + 1))
            peer.feed(H.data(1, 1))
            peer.feed(H.post(1))
            #expect(peer.error == nil)
            peer.feed(H.data(1, 1))
            #expect(peer.error?.code == .enhanceYourCalm)
        }
    }
}
