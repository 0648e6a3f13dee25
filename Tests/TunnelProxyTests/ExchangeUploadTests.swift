import Testing
import TunnelCore
import TunnelIO
import TunnelProxy
import TunnelTestSupport

@Suite struct ExchangeUploadTests {
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

    /// An upstream that answers with the body it got.
    private func echo() throws -> Upstream {
        try Upstream { connection, _ in
            while let (_, body) = connection.readRequest() {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
            }
        }
    }

    @Test(arguments: [0, 1, 20_000, 40_000, 70_000, 1_500_000]) func aBodyArrivesWhole(_ count: Int) throws {
        let upstream = try echo()
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        let body = String((0..<count).map { Character(UnicodeScalar(UInt8(97 + $0 % 23))) })
        for _ in 0..<2 {
            let answer = try far.request("POST", body: body)
            #expect(answer.isWhole && answer.body == body)
        }
        #expect(upstream.connections == 1)
        #expect(proxy.finished(2).contains("bytes_in=\(count) bytes_out=\(count)"))
    }

    @Test func aChunkedBodyStaysChunked() throws {
        let upstream = try Upstream { connection, _ in
            while let (head, body) = connection.readRequest() {
                // Who waits long enough for the end would answer without it.
                let isWhole = head.contains("Transfer-Encoding: chunked") && body.hasSuffix("0\r\n\r\n")
                let text = isWhole ? body : "not chunked to its end"
                var decoded = Array(text.utf8)
                var decoder = BodyDecoder(.chunked)
                let count = (try? decoded.withUnsafeMutableBytes { try decoder.decode(inPlace: $0).produced }) ?? 0
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(count)\r\n\r\n")
                connection.peer.send(Array(decoded[..<count]))
            }
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        let head = "POST / HTTP/1.1\r\nHost: a.t.example\r\nTransfer-Encoding: chunked\r\n\r\n"
        // At once, and piece by piece.
        try far.send(head + "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
        #expect(try far.answer().body == "hello world")
        for piece in [head, "5\r\nhel", "lo\r", "\n6\r\n world\r\n", "0\r\n", "\r\n"] {
            // The proxy has taken what came before.
            try far.roundTrip()
            try far.send(piece)
        }
        #expect(try far.answer().body == "hello world")
        #expect(upstream.connections == 1)
    }

    @Test(arguments: ["zz\r\n", "5\r\nhello!!", "-1\r\n"]) func aMalformedBodyIsRefused(_ body: String) throws {
        let upstream = try echo()
        let proxy = try TestProxy(["a": upstream.port])
        for isLate in [false, true] {
            let far = try proxy.farSide()
            let head = "POST / HTTP/1.1\r\nHost: a.t.example\r\nTransfer-Encoding: chunked\r\n\r\n"
            if isLate { try far.send(head + "1\r\nx\r\n") } else { try far.send(head + body) }
            if isLate { try far.send(body) }
            let answer = try far.answer()
            #expect(answer.status == 400 && answer.isClosing)
            try far.wait(for: "close 1000")
        }
    }

    /// An answer may come, whole, while the request is still under way, and the upstream wants the rest all the same.
    @Test func anAnswerBeforeTheRequestsEnd() throws {
        let upstream = try Upstream { connection, _ in
            while connection.readHead() != nil {
                connection.send(ExchangeUploadTests.ok)
                #expect(connection.readBody(6) == "abcdef")
            }
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        for _ in 0..<2 {
            try far.send("POST / HTTP/1.1\r\nHost: a.t.example\r\nContent-Length: 6\r\n\r\nabc")
            #expect(try far.answer().body == "hi")
            try far.send("def")
        }
        #expect(try far.request("POST", body: "abcdef").body == "hi")
        #expect(upstream.connections == 1)
    }

    /// The upstream refuses the body and goes; the client hears why, whole, however much it has still to send.
    @Test func anAnswerInsteadOfTheBody() throws {
        let upstream = try Upstream { connection, _ in
            guard connection.readHead() != nil else { return }
            connection.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!")
            connection.peer.shutDown()
            while let piece = connection.peer.receive(), !piece.isEmpty {}
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try far.send("POST / HTTP/1.1\r\nHost: a.t.example\r\nContent-Length: 900000\r\n\r\n")
        let body = [UInt8](repeating: 0x61, count: 300_000)
        try far.send(body)
        let answer = try far.answer()
        #expect(answer.status == 413 && answer.body == "no!" && answer.isWhole)
        try far.send(body)
        try far.wait(for: "close 1000")
        #expect(far.events == ["close_notify", "close 1000"])
    }

    /// The upstream does not read; the client is stopped long before memory is.
    @Test func anUploadIsHeldByItsUpstream() throws {
        let gate = ThreadSignal()
        let upstream = try Upstream { connection, _ in
            guard connection.readHead() != nil else { return }
            _ = gate.wait(seconds: 20)
            let body = connection.readBody(30_000_000)
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n\(body.utf8.count)")
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try far.send("POST / HTTP/1.1\r\nHost: a.t.example\r\nContent-Length: 30000000\r\n\r\n")
        let frames = try (0..<30).flatMap { _ in try far.encrypted([UInt8](repeating: 0x61, count: 1_000_000)) }
        let peer = far.peer
        let sent = Progress()
        let sending = OnThread {
            for start in stride(from: 0, to: frames.count, by: 100_000) {
                guard peer.send(Array(frames[start..<min(frames.count, start + 100_000)])) else { return false }
                sent.add(100_000)
            }
            return true
        }
        // It stands still once the kernel's buffers and ours are full.
        let stopped = sent.standstill()
        #expect(stopped < 29_000_000)
        gate.post()
        #expect(try far.answer().body == "30000000")
        #expect(sending.value() == true)
    }

    // MARK: Once more

    /// A connection that died while it was idle: the request goes out again on a fresh one.
    @Test(arguments: ["GET", "PUT", "DELETE"]) func anIdempotentRequestIsSentAgain(_ method: String) throws {
        let upstream = try dyingUpstream()
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        #expect(try far.request().body == "-")
        let answer = try far.request(method, body: method == "GET" ? nil : "body")
        #expect(answer.status == 200 && answer.body == (method == "GET" ? "-" : "-body"))
        #expect(upstream.connections == 2)
    }

    @Test func aPostWithoutABodyIsSentAgain() throws {
        let upstream = try dyingUpstream()
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        #expect(try far.request().status == 200)
        #expect(try far.request("POST", body: "").status == 200)
    }

    @Test func aPostWithABodyIsNot() throws {
        let upstream = try dyingUpstream()
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        #expect(try far.request().status == 200)
        #expect(try far.request("POST", body: "once").status == 502)
        #expect(upstream.connections == 1)
    }

    @Test func nothingIsSentThreeTimes() throws {
        let upstream = try Upstream { connection, number in
            guard connection.readRequest() != nil, number == 1 else { return }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n-")
            _ = connection.readHead()
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        #expect(try far.request().status == 200)
        #expect(try far.request().status == 502)
        #expect(upstream.connections == 2)
    }

    @Test func nothingIsSentAgainAfterAByteOfAnAnswer() throws {
        let upstream = try Upstream { connection, _ in
            guard connection.readRequest() != nil else { return }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n-")
            guard connection.readHead() != nil else { return }
            connection.send("H")
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        #expect(try far.request().status == 200)
        #expect(try far.request().status == 502)
        #expect(upstream.connections == 1)
    }

    /// The body comes while the second connection is being opened: it belongs behind the head that is sent again.
    @Test func aBodyThatComesBetweenTwoConnectionsIsNotLost() throws {
        let died = ThreadSignal()
        let upstream = try Upstream { connection, number in
            guard connection.readHead() != nil else { return }
            if number > 1 {
                let body = connection.readBody(5)
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\(body)")
            } else {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n-")
            }
            _ = connection.readHead()
            guard number == 1 else { return }
            connection.peer.shutDown()
            died.post()
        }
        // The second look-up does not end until the gate opens.
        let (gate, isSecond) = (ThreadSignal(), Flag())
        NameService.shared.standIn(for: "slow.test") { _ in
            if isSecond.isSet { _ = gate.wait(seconds: 20) }
            return .success([IPAddress(v4: 0x7F00_0001)])
        }
        defer { NameService.shared.standIn(for: "slow.test", nil) }
        let address = try UpstreamAddress("http://slow.test:\(upstream.port)")
        let proxy = try TestProxy { settings in
            settings.routes = [Route(key: "a", upstream: address)]
            settings.upstream.dnsTTL = .zero
            settings.upstream.dnsTimeout = .seconds(20)
        }
        let far = try proxy.farSide()
        #expect(try far.request().status == 200)
        isSecond.set()
        try far.send("PUT / HTTP/1.1\r\nHost: a.t.example\r\nContent-Length: 5\r\n\r\n")
        #expect(died.wait(seconds: 20))
        // Once a ping is answered the proxy has seen what came before it: the end, then the body.
        try far.roundTrip()
        try far.send("hello")
        try far.roundTrip()
        gate.post()
        let answer = try far.answer()
        #expect(answer.status == 200 && answer.body == "hello")
    }

    /// Answers `-` and the body, once on its first connection, which then reads a request and goes.
    private func dyingUpstream() throws -> Upstream {
        try Upstream { connection, number in
            while let (_, body) = connection.readRequest() {
                let text = "-" + body
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)")
                if number == 1 {
                    _ = connection.readRequest()
                    return
                }
            }
        }
    }
}
