import Testing

@testable import TunnelCore

private typealias H = HTTP2Harness

/// What we send is held to our own Content-Length (RFC 9113 §8.1.1): a body of another length never looks whole.
@Suite struct HTTP2BodyLengthTests {
    private static let json = "content-type: application/json\r\ncontent-length: 10\r\n"

    private static func peer(_ request: [UInt8] = H.get(1)) -> HTTP2Harness {
        var peer = HTTP2Harness()
        peer.feed(request)
        return peer
    }

    @Test func exactlySoMuchIsFine() {
        var peer = Self.peer()
        peer.respond(1, 200, Self.json)
        let first = peer.connection.offer(4, on: 1, now: 1)
        let second = peer.connection.offer(6, on: 1, now: 1)
        let end = peer.connection.finish(1)
        #expect(first && second && end)
        #expect(peer.turns() == [HTTP2DataTurn(stream: 1, count: 10, endsStream: true)])
    }

    @Test func oneTooManyIsAReset() {
        var peer = Self.peer()
        peer.respond(1, 200, Self.json)
        let first = peer.connection.offer(4, on: 1, now: 1)
        let second = peer.connection.offer(7, on: 1, now: 1)
        let end = peer.connection.finish(1)
        #expect(first && !second && !end)
        #expect(peer.turns().isEmpty)
        peer.drain()
        #expect(peer.sent == ["headers 1", "reset 1 INTERNAL_ERROR"])
    }

    @Test(arguments: [0, 1]) func oneTooFewIsAReset(_ trailers: Int) {
        var peer = Self.peer()
        peer.respond(1, 200, Self.json)
        peer.offer(9, on: 1)
        #expect(peer.turns().map(\.endsStream) == [false])
        let end = trailers == 0 ? peer.connection.finish(1) : peer.sendTrailers(1)
        #expect(!end)
        peer.drain()
        #expect(peer.sent == ["headers 1", "reset 1 INTERNAL_ERROR"])
    }

    /// What a peer sends is held to its own Content-Length as well: one byte less, just so many, one more.
    @Test(arguments: [(3, true), (4, false), (5, true)]) func aRequestsBodyHasItsLength(_ count: Int, _ isReset: Bool) {
        var peer = HTTP2Harness()
        peer.feed(H.post(1, "content-length: 4") + H.data(1, count, end: true))
        #expect(peer.error == nil)
        #expect(peer.sent.contains("reset 1 PROTOCOL_ERROR") == isReset)
        #expect(peer.events.contains("end 1") != isReset)
    }

    /// And in two frames, of which the first says nothing of the end.
    @Test func aRequestsBodyInTwoFramesHasItsLength() {
        var peer = HTTP2Harness()
        peer.feed(H.post(1, "content-length: 4") + H.data(1, 2) + H.data(1, 1, end: true))
        #expect(peer.sent.contains("reset 1 PROTOCOL_ERROR") && !peer.events.contains("end 1"))
    }

    /// Where a length says nothing about the body, or there is none to be held to, the body may end as it does.
    @Test(arguments: [
        (200, ":method: HEAD", json), (304, ":method: GET", json), (204, ":method: GET", json),
        (200, ":method: GET", "content-length: many\r\n"), (200, ":method: GET", "content-length: 0\r\n"),
        (200, ":method: GET", "x-a: b\r\n"),
    ]) func aResponseWithoutBody(_ status: Int, _ method: String, _ lines: String) {
        var peer = Self.peer(H.headers(1, [method] + HTTP2Samples.get.dropFirst()))
        peer.respond(1, UInt16(status), lines)
        let end = peer.connection.finish(1)
        #expect(end)
        peer.drain()
        #expect(peer.sent == ["headers 1", "data 1 end"])
    }

    /// The length of an interim head, or of another stream's, is none of the response's.
    @Test func lengthsStayWithTheirHead() {
        var peer = Self.peer(H.get(1) + H.get(3))
        peer.respond(1, 103, "link: x\r\ncontent-length: 7\r\n")
        peer.respond(3, 200, Self.json)
        peer.respond(1, 200, "x-a: b\r\n")
        peer.offer(20, on: 1)
        let end = peer.connection.finish(1)
        #expect(end && peer.turns().map(\.count) == [20])
    }

    /// As a client the same.
    @Test func requestsToo() {
        var client = HTTP2Harness(isServer: false)
        let lines = Array(":method: POST\r\n:scheme: https\r\n:authority: h\r\n:path: /\r\ncontent-length: 3\r\n".utf8)
        let id = client.connection.sendRequest(lines.span, method: .post, endsStream: false) ?? 0
        let isTaken = client.connection.offer(4, on: id, now: 1)
        #expect(!isTaken)
        client.drain()
        #expect(client.sent == ["headers 1", "reset 1 INTERNAL_ERROR"])
    }
}

@Suite struct HTTP2InterimResponseTests {
    private static let early = H.headers(1, [":status: 103", "link: x"], end: false)

    /// A server may send any number of interim responses; so many are taken, and a few more with each request.
    @Test func areCounted() {
        var limits = HTTP2Limits()
        limits[.ignoredFrame] = HTTP2Rate(burst: 10, perSecond: 0)
        var client = HTTP2Harness(isServer: false, limits: limits)
        let first = client.sendRequest()
        #expect(first == 1)
        for _ in 0..<10 { client.feed(Self.early) }
        #expect(client.error == nil && client.events.count == 10)
        let second = client.sendRequest()
        #expect(second == 3)
        for _ in 0..<8 { client.feed(Self.early) }
        #expect(client.error == nil && client.events.count == 18)
        client.feed(Self.early)
        #expect(client.error?.code == .enhanceYourCalm && client.connection.abuse == .ignoredFrame)
    }
}

@Suite struct HTTP2NoWindowTests {
    /// A window of 0 by configuration: nothing is given back, and so nothing is said about it.
    @Test func isNeverOpenedByNothing() {
        var limits = HTTP2Limits()
        limits.streamWindow = 0
        var peer = HTTP2Harness(limits: limits)
        peer.feed(H.post(1) + HTTP2FrameTests.frame(.data, .padded, 1, []))
        #expect(peer.error?.code == .frameSizeError)
        peer = HTTP2Harness(limits: limits)
        peer.feed(H.post(1) + H.data(1, 0))
        do throws(HTTP2Error) { try peer.connection.consumed(0, of: 1) } catch { Issue.record("\(error)") }
        peer.drain()
        #expect(peer.error == nil && peer.sent.isEmpty)
        peer.feed(H.data(1, 1))
        #expect(peer.sent == ["reset 1 FLOW_CONTROL_ERROR"])
    }
}
