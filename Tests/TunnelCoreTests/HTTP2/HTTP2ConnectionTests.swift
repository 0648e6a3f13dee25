import Testing

@testable import TunnelCore

private typealias H = HTTP2Harness

@Suite struct HTTP2ConnectionTests {
    @Test func opensWithSettings() {
        var peer = HTTP2Harness(isOpen: false)
        peer.drain()
        #expect(peer.sent == ["settings", "window 0 \(1 << 20 - 65_535)"])
        peer.feed(H.preface + H.settings((.initialWindowSize, 1)), step: 1)
        #expect(peer.events == ["settings"] && peer.sent.last == "settings ack")
    }

    @Test func exchangesARequestAndItsResponse() {
        var peer = HTTP2Harness()
        peer.feed(H.post(1, "content-length: 5") + H.data(1, 5, end: true), step: 3)
        #expect(peer.events == ["request 1", "end 1"] && peer.bodies[1]?.count == 5)
        peer.respond(1, 103, "link: a\r\n")
        peer.respond(1, 200)
        peer.offer(20_000, on: 1)
        peer.connection.finish(1)
        peer.drain()
        #expect(peer.sent == ["headers 1", "headers 1"])
        let result1 = peer.turns()
        #expect(result1.map(\.count) == [16_384, 3_616])
        #expect(peer.connection.streamCount == 1)
        peer.connection.release(1)
        peer.drain()
        #expect(peer.connection.streamCount == 0 && peer.sent.count == 2)
    }

    /// What is written is what another decoder reads: status and fields, those of the connection left out.
    @Test func writesHeadsForTheWire() throws {
        var peer = HTTP2Harness()
        peer.feed(H.get(1))
        let lines =
            "Content-Type: text/plain\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nX-A:  b \r\nKeep-Alive: 5\r\n"
        let results = [peer.respond(1, 204, lines, end: true), peer.respond(1, 200, lines)]
        #expect(results == [true, false])
        var out = ByteBuffer()
        peer.connection.drainControl(into: &out)
        var decoder = HPACKDecoder()
        let pairs = try HPACKSamples.decode(Array(out.array[9...]), &decoder)
        #expect(pairs.map(\.description) == [":status: 204", "content-type: text/plain", "x-a: b"])
    }

    @Test func trailersBothWays() {
        var peer = HTTP2Harness()
        peer.feed(H.post(1) + H.data(1, 1) + H.headers(1, ["x-sum: 7", "content-length: 1"]))
        var lines = ByteBuffer()
        peer.connection.takeTrailers(&lines)
        #expect(String(decoding: lines.array, as: UTF8.self) == "x-sum: 7\r\n")
        peer.respond(1, 200)
        peer.offer(10, on: 1)
        let result2 = peer.sendTrailers(1)
        #expect(!result2, "bytes are still waiting")
        let result3 = peer.turns()
        #expect(result3.map(\.endsStream) == [false])
        let result4 = peer.sendTrailers(1)
        #expect(result4)
        peer.drain()
        #expect(peer.sent.suffix(2) == ["headers 1", "headers 1 end"])
    }

    /// A stream's window opens as its exchange takes bytes, the connection's as they arrive.
    @Test func windowsFollowWhatIsTaken() throws {
        var peer = HTTP2Harness()
        peer.feed(H.post(1) + H.post(3))
        for _ in 0..<3 { peer.feed(H.data(1, 16_384)) }
        #expect(!peer.sent.contains { $0.hasPrefix("window 1") })
        try peer.connection.consumed(32_767, of: 1)
        peer.drain()
        #expect(!peer.sent.contains { $0.hasPrefix("window 1") })
        try peer.connection.consumed(1, of: 1)
        peer.drain()
        #expect(peer.sent.last == "window 1 32768")
        // Stream 1 stands still; 32 times the connection's window pass by on others.
        for stream in stride(from: UInt32(5), to: 5 + 2 * 500, by: 2) {
            peer.feed(H.post(stream))
            for _ in 0..<3 { peer.feed(H.data(stream, 16_384)) }
            peer.connection.release(stream)
            peer.drain()
        }
        #expect(peer.error == nil)
        peer.feed(H.data(1, 49_151))
    }

    @Test func padding() {
        var peer = HTTP2Harness()
        peer.feed(H.post(1))
        // 128 bytes of padding each, which nobody takes but us: more than the window in all.
        let frame = HTTP2FrameTests.frame(.data, .padded, 1, [127] + [UInt8](repeating: 0, count: 127 + 64))
        for _ in 0..<500 { peer.feed(frame) }
        #expect(peer.error == nil && peer.bodies[1]?.count == 32_000)
        #expect(peer.sent.contains { $0.hasPrefix("window 1 ") })
    }

    @Test func cancellation() {
        var peer = HTTP2Harness()
        peer.feed(H.post(1) + H.post(3) + H.reset(1))
        #expect(peer.events == ["request 1", "request 3", "reset 1 CANCEL by peer"])
        let result5 = peer.respond(1, 200)
        #expect(!result5)
        peer.connection.reset(3, .internalError)
        peer.drain()
        #expect(peer.sent == ["reset 3 INTERNAL_ERROR"])
        // What was on its way is passed over, and counts for the connection.
        peer.feed(H.data(3, 10) + H.headers(3, ["a: b"]) + H.windowUpdate(3, 1) + H.reset(3))
        #expect(peer.error == nil && peer.bodies[3] == nil && peer.sent.count == 1)
        for stream in [UInt32(1), 3] { peer.connection.release(stream) }
        peer.feed(H.data(3, 10) + H.get(5))
        #expect(peer.error == nil && peer.events.last == "request 5 end" && peer.sent.count == 1)
    }

    /// An early response does not have to wait for the rest of the body (§8.1).
    @Test func anEarlyResponseEndsTheRequest() {
        var peer = HTTP2Harness()
        peer.feed(H.post(1))
        peer.respond(1, 413, end: true)
        peer.connection.release(1)
        peer.drain()
        #expect(peer.sent == ["headers 1 end", "reset 1 NO_ERROR"])
        peer.feed(H.post(3))
        peer.connection.release(3)
        peer.drain()
        #expect(peer.sent.last == "reset 3 CANCEL")
    }

    /// Slots are held until they are released, so the number of exchanges is bound whatever is reset.
    @Test func boundsStreams() {
        var limits = HTTP2Limits()
        limits.maxStreams = 3
        var peer = HTTP2Harness(limits: limits)
        for stream in [UInt32(1), 3, 5] { peer.feed(H.get(stream) + H.reset(stream)) }
        peer.feed(H.get(7))
        #expect(peer.sent == ["reset 7 REFUSED_STREAM"])
        peer.connection.release(3)
        peer.feed(H.get(9))
        #expect(peer.events.last == "request 9 end" && peer.connection.streamCount == 3)
    }

    /// Padding counts against both windows, and nobody takes it but us: it never runs a stream dry.
    @Test func paddingIsGivenBack() {
        var limits = HTTP2Limits()
        for abuse in HTTP2Abuse.allCases { limits[abuse] = HTTP2Rate(burst: 1 << 30, perSecond: 0) }
        var peer = HTTP2Harness(limits: limits)
        peer.feed(H.post(1))
        // A byte of length, one of body and 255 of padding: more than two windows of a stream, and 600 bytes of body.
        let padded = HTTP2FrameTests.frame(.data, .padded, 1, [255, 0x61] + [UInt8](repeating: 0, count: 255))
        for _ in 0..<600 { peer.feed(padded) }
        #expect(peer.error == nil && !peer.sent.contains { $0.hasPrefix("reset") })
        #expect(peer.bodies[1]?.count == 600)
    }

    @Test func drains() {
        var peer = HTTP2Harness()
        peer.feed(H.get(1))
        peer.connection.beginDraining()
        peer.connection.sendPing(7)
        peer.drain()
        #expect(peer.sent == ["goaway 2147483647 NO_ERROR", "ping 7"])
        // On its way when the first GOAWAY came.
        peer.feed(H.get(3) + HTTP2FrameTests.frame(.ping, .ack, 0, [0, 0, 0, 0, 0, 0, 0, 7]))
        #expect(peer.events.suffix(2) == ["request 3 end", "pong 7"])
        peer.connection.finishDraining()
        peer.drain()
        #expect(peer.sent.last == "goaway 3 NO_ERROR")
        peer.forget()
        // The last one is said once.
        peer.connection.finishDraining()
        peer.drain()
        #expect(peer.sent.isEmpty)
        peer.feed(H.get(5) + H.get(7))
        #expect(peer.events.isEmpty && peer.sent.isEmpty && peer.error == nil)
        let result6 = peer.respond(3, 200, end: true)
        #expect(result6)
    }

    /// What follows a request that came too late for the last GOAWAY is on its way, too (§6.8): all of it is passed over.
    @Test func streamsBehindTheLastOneAreIgnored() {
        var peer = HTTP2Harness()
        peer.feed(H.post(1))
        peer.connection.beginDraining()
        peer.connection.finishDraining()
        peer.drain()
        peer.forget()
        peer.feed(
            H.post(3) + H.data(3, 100) + H.windowUpdate(3, 1) + H.headers(3, ["x-sum: 7"]) + H.post(5) + H.reset(5))
        #expect(peer.error == nil && peer.events.isEmpty && peer.sent.isEmpty)
        // Their bytes count for the connection.
        for _ in 0..<40 { peer.feed(H.data(3, 16_384)) }
        #expect(peer.error == nil && peer.sent.count { $0.hasPrefix("window 0") } == 1)
        peer.feed(H.data(1, 5, end: true))
        #expect(peer.events == ["end 1"] && peer.bodies[3] == nil)
    }

    /// A request whose head is not whole yet has not been taken, so it is behind the last one.
    @Test(arguments: [UInt32(1), 3]) func aHeadInPiecesIsBehindTheLastOne(_ stream: UInt32) {
        var peer = HTTP2Harness()
        if stream > 1 { peer.feed(H.get(1)) }
        let block = H.block(HTTP2Samples.get)
        peer.feed(HTTP2FrameTests.frame(.headers, [], stream, Array(block.prefix(5))))
        peer.forget()
        peer.connection.beginDraining()
        peer.connection.finishDraining()
        peer.drain()
        #expect(peer.sent.last == "goaway \(stream > 1 ? 1 : 0) NO_ERROR")
        peer.forget()
        // The table of HPACK is both sides', so the rest is read all the same.
        peer.feed(HTTP2FrameTests.frame(.continuation, .endHeaders, stream, Array(block.dropFirst(5))))
        peer.feed(H.data(stream, 5, end: true) + H.get(stream + 2))
        #expect(peer.error == nil && peer.events.isEmpty && peer.sent.isEmpty)
    }

    @Test func aHeadBeyondTheLimitIsAResponseToMake() {
        var limits = HTTP2Limits()
        limits.headers.maxFields = 6
        var peer = HTTP2Harness(limits: limits)
        peer.feed(H.get(1, "a: 1", "b: 2") + H.get(3, "a: 1", "b: 2", "c: 3"))
        #expect(peer.events == ["request 1 end", "too large 3"])
        let result7 = peer.respond(3, 431, end: true)
        #expect(result7)
    }

    /// Frames of the largest kind that the peer takes, and its windows, both of which it may change.
    @Test func keepsToThePeersSettings() {
        var peer = HTTP2Harness()
        peer.feed(H.settings((.initialWindowSize, 10)) + H.get(1) + H.get(3))
        for stream in [UInt32(1), 3] {
            peer.respond(stream, 200)
            peer.offer(100, on: stream)
        }
        let result8 = peer.turns()
        #expect(
            result8 == [
                HTTP2DataTurn(stream: 1, count: 10, endsStream: false),
                HTTP2DataTurn(stream: 3, count: 10, endsStream: false),
            ])
        peer.feed(H.windowUpdate(3, 5))
        let result9 = peer.turns()
        #expect(result9 == [HTTP2DataTurn(stream: 3, count: 5, endsStream: false)])
        // §6.9.2: from 0 to -10, so the next 10 bytes of window are none.
        peer.feed(H.settings((.initialWindowSize, 0)) + H.windowUpdate(1, 10))
        let result10 = peer.turns()
        #expect(result10.isEmpty)
        peer.feed(H.windowUpdate(1, 3))
        let result11 = peer.turns()
        #expect(result11 == [HTTP2DataTurn(stream: 1, count: 3, endsStream: false)])
        peer.feed(H.settings((.initialWindowSize, 65_535)))
        let result12 = peer.turns()
        #expect(result12.map(\.count) == [87, 85])
    }
}

@Suite struct HTTP2ClientConnectionTests {
    @Test func exchanges() {
        var peer = HTTP2Harness(isServer: false)
        let id = peer.sendRequest(.post, end: false)
        #expect(id == 1)
        peer.offer(5, on: 1)
        peer.connection.finish(1)
        peer.drain()
        #expect(peer.sent == ["headers 1"])
        let result13 = peer.turns()
        #expect(result13 == [HTTP2DataTurn(stream: 1, count: 5, endsStream: true)])
        peer.feed(
            H.headers(1, [":status: 103"], end: false) + H.headers(1, [":status: 200"], end: false) + H.data(1, 4)
                + H.headers(1, ["x-sum: 1"]), step: 5)
        #expect(peer.events == ["response 1", "response 1", "trailers 1"] && peer.bodies[1]?.count == 4)
        peer.connection.release(1)
        let result14 = peer.sendRequest(.get, end: true)
        #expect(result14 == 3)
    }

    @Test func keepsToTheServersLimits() {
        var peer = HTTP2Harness(isServer: false)
        peer.feed(H.settings((.maxConcurrentStreams, 1)))
        let result15 = peer.sendRequest(.get, end: true)
        #expect(result15 == 1)
        let result16 = peer.sendRequest(.get, end: true)
        #expect(result16 == nil)
        peer.feed(H.headers(1, [":status: 200"]))
        peer.connection.release(1)
        peer.feed(HTTP2FrameTests.frame(.goAway, [], 0, [0, 0, 0, 1, 0, 0, 0, 0]))
        #expect(peer.events.last == "goaway 1 NO_ERROR" && peer.connection.freeStreams == 0)
        let result17 = peer.sendRequest(.get, end: true)
        #expect(result17 == nil)
    }

    static let wrong: [(bytes: [UInt8], isConnection: Bool, code: HTTP2ErrorCode)] = [
        (H.headers(2, [":status: 200"]), true, .protocolError), (H.headers(3, [":status: 200"]), true, .protocolError),
        (H.data(1, 1), false, .protocolError), (H.headers(1, [":status: 101"], end: false), false, .protocolError),
        (H.headers(1, ["a: b"]), false, .protocolError), (H.headers(1, [":status: 100"]), false, .protocolError),
        (H.settings((.enablePush, 1)), true, .protocolError),
        (H.headers(1, [":status: 200"]) + H.headers(1, [":status: 200"]), false, .streamClosed),
        (H.headers(1, [":status: 204"], end: false) + H.data(1, 1), false, .protocolError),
    ]

    @Test(arguments: wrong) func refuses(_ row: (bytes: [UInt8], isConnection: Bool, code: HTTP2ErrorCode)) {
        var peer = HTTP2Harness(isServer: false)
        _ = peer.sendRequest(.get, end: true)
        peer.drain()
        peer.feed(row.bytes)
        #expect((peer.error != nil) == row.isConnection)
        #expect(peer.sent.last == (row.isConnection ? "goaway 0 \(row.code)" : "reset 1 \(row.code)"))
    }
}
