import Testing
import TunnelCore
import TunnelIO
import TunnelProxy
import TunnelTestSupport

/// Upstreams that speak HTTP/2 and do what real ones hardly ever do.
@Suite struct HTTP2UpstreamTests {
    private func proxy(to upstream: Upstream, change: (inout TestProxy.Settings) -> Void = { _ in }) throws -> TestProxy
    {
        let address = try UpstreamAddress("h2c://127.0.0.1:\(upstream.port)")
        return try TestProxy { settings in
            settings.routes = [Route(key: "a", upstream: address)]
            change(&settings)
        }
    }

    /// A stream that ends with its head says so by that alone. A client of HTTP/1.1 would wait for the body, and take the next
    /// response for it.
    @Test(arguments: ["GET", "POST"]) func aResponseWithoutABodyHasALength(_ method: String) throws {
        let upstream = try Upstream { connection, _ in
            guard let peer = HTTP2Peer(connection) else { return }
            while let request = peer.next(HTTP2Peer.headers) {
                peer.sendHead(HTTP2Peer.ok, stream: request.stream, ends: true)
            }
        }
        let proxy = try proxy(to: upstream)
        let far = try proxy.farSide()
        for _ in 0..<2 {
            let answer = try far.request(method, body: method == "POST" ? "x" : nil)
            #expect(answer.status == 200 && answer.isWhole && answer.fields["content-length"] == "0")
        }
    }

    /// What has begun to answer a request may have done it, although the connection was a kept one.
    @Test func nothingIsSentAgainAfterAnInterimHead() throws {
        let upstream = try Upstream { connection, _ in
            guard let peer = HTTP2Peer(connection), let first = peer.next(HTTP2Peer.headers) else { return }
            peer.sendHead(HTTP2Peer.ok, stream: first.stream, ends: true)
            guard let second = peer.next(HTTP2Peer.headers) else { return }
            peer.sendHead(HTTP2Peer.earlyHints, stream: second.stream)
            peer.end()
        }
        let proxy = try proxy(to: upstream)
        let far = try proxy.farSide()
        #expect(try far.request().status == 200)
        #expect(try far.request().status == 103)
        #expect(try far.answer().status == 502)
        #expect(upstream.connections == 1)
    }

    /// Without a window nothing goes up. The client is stopped long before memory is.
    @Test func anUploadIsHeldByItsWindow() throws {
        let gate = ThreadSignal()
        let upstream = try Upstream { connection, _ in
            guard let peer = HTTP2Peer(connection), peer.next(HTTP2Peer.headers) != nil else { return }
            _ = gate.wait(seconds: 20)
        }
        let proxy = try proxy(to: upstream)
        let far = try proxy.farSide()
        try far.send("POST / HTTP/1.1\r\nHost: a.t.example\r\nContent-Length: 20000000\r\n\r\n")
        let piece = try (0..<20).map { _ in try far.encrypted([UInt8](repeating: 0x61, count: 1_000_000)) }
        let (peer, sent) = (far.peer, Progress())
        _ = OnThread {
            for bytes in piece {
                for start in stride(from: 0, to: bytes.count, by: 100_000) {
                    guard peer.send(Array(bytes[start..<min(bytes.count, start + 100_000)])) else { return false }
                    sent.add(100_000)
                }
            }
            return true
        }
        #expect(sent.standstill() < 19_000_000)
        gate.post()
    }

    /// The client reads nothing, so they could only be kept.
    @Test func endlessInterimHeadsAreCut() throws {
        let isReset = ThreadSignal()
        let upstream = try Upstream { connection, _ in
            guard let peer = HTTP2Peer(connection), let request = peer.next(HTTP2Peer.headers) else { return }
            // A field of 4,000 bytes goes into the table of HPACK, and each of the next heads names it fifty times.
            let field: [UInt8] = [0x40, 1, 0x78, 0x7F, 0xA1, 0x1E] + [UInt8](repeating: 0x79, count: 4_000)
            peer.sendHead(HTTP2Peer.earlyHints + field, stream: request.stream)
            let head = HTTP2Peer.earlyHints + [UInt8](repeating: 0xBE, count: 50)
            for _ in 0..<150 { peer.sendHead(head, stream: request.stream) }
            if peer.next(HTTP2Peer.reset) != nil { isReset.post() }
            peer.end()
        }
        let proxy = try proxy(to: upstream) { $0.limits.maxHeaderBytes = 1 << 18 }
        let far = try proxy.farSide()
        try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
        #expect(isReset.wait(seconds: 20))
    }

    /// It was opened for a WebSocket, which its server does not take by HTTP/2, and so nothing was ever asked on it.
    @Test func oneThatServesNobodyEnds() throws {
        let isEnded = ThreadSignal()
        let upstream = try Upstream { connection, number in
            if number == 1 {
                guard let peer = HTTP2Peer(connection, acknowledges: true) else { return }
                while let frame = peer.next() { #expect(frame.type != HTTP2Peer.headers) }
                isEnded.post()
            } else if connection.readRequest() != nil {
                connection.send(okay())
            }
        }
        let proxy = try proxy(to: upstream) { $0.upstream.idleTimeout = .milliseconds(200) }
        let far = try proxy.farSide()
        try far.send(
            "GET / HTTP/1.1\r\nHost: a.t.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        #expect(try far.answer().status == 200)
        #expect(isEnded.wait(seconds: 20))
    }

    /// A reload takes the upstream out while a connection to it is being opened: that serves who waits for it, and ends.
    @Test func oneWhoseUpstreamIsGoneEndsWithItsRequests() throws {
        let (isBegun, goesOn, isEnded) = (ThreadSignal(), ThreadSignal(), ThreadSignal())
        let upstream = try Upstream { connection, _ in
            isBegun.post()
            _ = goesOn.wait(seconds: 20)
            guard let peer = HTTP2Peer(connection) else { return }
            while let request = peer.next(HTTP2Peer.headers) {
                peer.sendHead(HTTP2Peer.ok, stream: request.stream, ends: true)
            }
            isEnded.post()
        }
        let proxy = try proxy(to: upstream)
        let far = try proxy.farSide()
        try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
        #expect(isBegun.wait(seconds: 20))
        _ = try proxy.server.reload(TestProxy.Settings().configuration())
        goesOn.post()
        #expect(try far.answer().status == 200)
        #expect(isEnded.wait(seconds: 20))
    }

    /// Where each connection takes one request, so many are opened, and who finds no place waits for one in vain.
    @Test func noMoreConnectionsAreOpenedThanAllowed() throws {
        let arrived = ThreadSignal()
        let upstream = try Upstream { connection, _ in
            guard let peer = HTTP2Peer(connection, streams: 1), peer.next(HTTP2Peer.headers) != nil else { return }
            arrived.post()
            while peer.next() != nil {}
        }
        let proxy = try proxy(to: upstream) { $0.upstream.connectTimeout = .seconds(2) }
        var waiting: [FarSide] = []
        for _ in 0..<64 {
            let far = try proxy.farSide()
            try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
            #expect(arrived.wait(seconds: 20))
            waiting.append(far)
        }
        #expect(try proxy.farSide().request().status == 503)
        #expect(upstream.connections == 64)
        withExtendedLifetime(waiting) {}
    }
}
