import Testing
import TunnelCore
import TunnelIO
import TunnelProxy
import TunnelTestSupport

@Suite struct ExchangeTests {
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

    @Test func aRequestGoesThroughAndBothConnectionsStay() throws {
        let upstream = try Upstream.answering(ExchangeTests.ok)
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        for _ in 0..<3 {
            let answer = try far.request()
            #expect(answer.status == 200 && answer.body == "hi" && answer.isWhole)
        }
        #expect(upstream.connections == 1)
        #expect(proxy.log.wait(for: "request finished", count: 3).allSatisfy { $0.contains("end=complete") })
        #expect(proxy.log.lines(with: "request started").count == 3)
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() throws {
        let upstream = try Upstream { connection, _ in
            while let head = connection.readHead() {
                let path = head.split(separator: " ")[1]
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(path.utf8.count)\r\n\r\n\(path)")
            }
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try far.send((0..<50).map { "GET /\($0) HTTP/1.1\r\nHost: a.t.example\r\n\r\n" }.joined())
        for index in 0..<50 { #expect(try far.answer().body == "/\(index)") }
    }

    // MARK: Answers of our own

    @Test func anUnknownHostIsTold() throws {
        let upstream = try Upstream.answering(ExchangeTests.ok)
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        let answer = try far.request(host: "b.t.example")
        #expect(answer.status == 502 && answer.body.hasPrefix("No route configured for host"))
        // The body of a refused request is here already, so the tunnel can go on.
        #expect(try far.request("POST", host: "b.t.example", body: "x").status == 502)
        #expect(try far.request(host: "A.T.Example.:443").status == 200)
        #expect(proxy.log.wait(for: "no route for host", count: 2).count == 2)
    }

    @Test func aDisallowedAddressIsNotDialled() throws {
        let upstream = try Upstream.answering(ExchangeTests.ok)
        let proxy = try TestProxy(["a": upstream.port]) {
            $0.upstream.allowedIPs = [IPPrefix(masking: IPAddress(v4Bytes: 10, 0, 0, 0), length: 8)]
        }
        let far = try proxy.farSide()
        #expect(try far.request().status == 502)
        #expect(!proxy.log.wait(for: "IP validation failed: 127.0.0.1 is not a private address").isEmpty)
        #expect(proxy.finished().contains("end=refused"))
        #expect(upstream.connections == 0)
    }

    @Test func aRefusedConnectionIsTold() throws {
        var upstream: Upstream? = try Upstream { _, _ in }
        let port = upstream?.port ?? 0
        upstream = nil
        let proxy = try TestProxy(["a": port])
        let far = try proxy.farSide()
        #expect(try far.request().status == 502)
        #expect(!proxy.log.wait(for: "dial tcp 127.0.0.1:\(port): connect: connection refused").isEmpty)
    }

    @Test func connectIsNotSpoken() throws {
        let upstream = try Upstream.answering(ExchangeTests.ok)
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try far.send("CONNECT a.t.example:443 HTTP/1.1\r\nHost: a.t.example:443\r\n\r\n")
        #expect(try far.answer().status == 501)
        #expect(upstream.connections == 0)
    }

    @Test func aMalformedHeadIsRefusedAndTheTunnelCloses() throws {
        let proxy = try TestProxy()
        let far = try proxy.farSide()
        try far.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        let answer = try far.answer()
        #expect(answer.status == 400 && answer.isClosing)
        try far.wait(for: "close 1000")
        #expect(far.events == ["close_notify", "close 1000"])
    }

    @Test func aHeadOverTheLimitIsRefused() throws {
        let proxy = try TestProxy { $0.limits.maxHeaderBytes = 2_048 }
        let far = try proxy.farSide()
        try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\nX: " + String(repeating: "x", count: 3_000))
        #expect(try far.answer().status == 431)
    }

    @Test func requestsOverTheLimitAreTurnedAway() throws {
        let (arrived, gate) = (ThreadSignal(), ThreadSignal())
        let upstream = try Upstream { connection, _ in
            while connection.readRequest() != nil {
                arrived.post()
                _ = gate.wait(seconds: 20)
                connection.send(ExchangeTests.ok)
            }
        }
        let proxy = try TestProxy(["a": upstream.port]) { $0.limits.maxRequests = 1 }
        let (first, second) = (try proxy.farSide(), try proxy.farSide())
        try first.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
        #expect(arrived.wait(seconds: 20))
        #expect(proxy.server.requestsInFlight == 1)
        let answer = try second.request()
        #expect(answer.status == 503 && answer.fields["retry-after"] == "1")
        gate.post()
        #expect(try first.answer().status == 200)
        gate.post()
        #expect(try second.request().status == 200)
    }

    // MARK: Framing

    @Test(arguments: [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, ""),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, ""),
        (
            "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", 200,
            "abcde"
        ),
        ("GET", "HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n", 302, ""),
    ]) func answersKeepTheirFraming(_ method: String, _ text: String, _ status: Int, _ body: String) throws {
        let upstream = try Upstream.answering(text)
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        for _ in 0..<2 {
            let answer = try far.request(method)
            #expect(answer.status == status && answer.body == body && answer.isWhole)
        }
        #expect(upstream.connections == 1)
    }

    @Test func trailersGoThrough() throws {
        let upstream = try Upstream.answering(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\na\r\n0\r\nX-Sum: 7\r\n\r\n")
        let proxy = try TestProxy(["a": upstream.port])
        let answer = try proxy.farSide().request()
        #expect(answer.isWhole && answer.fields["(trailers)"] == "X-Sum: 7\r\n")
    }

    /// A body that ends with the upstream's connection is chunked for HTTP/1.1 and ends with the tunnel for HTTP/1.0.
    @Test(arguments: [1, 0]) func aBodyWithoutALength(_ minorVersion: Int) throws {
        let upstream = try Upstream { connection, _ in
            guard connection.readRequest() != nil else { return }
            connection.send("HTTP/1.1 200 OK\r\n\r\nuntil ")
            connection.send("the end")
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try far.send("GET / HTTP/1.\(minorVersion)\r\nHost: a.t.example\r\n\r\n")
        let answer = try far.answer()
        #expect(answer.body == "until the end" && answer.isWhole)
        #expect(answer.isClosing == (minorVersion == 0))
        #expect((answer.fields["transfer-encoding"] == "chunked") == (minorVersion == 1))
    }

    @Test func anHTTP10ClientMayKeepItsTunnel() throws {
        let upstream = try Upstream.answering(ExchangeTests.ok)
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        for _ in 0..<2 {
            try far.send("GET / HTTP/1.0\r\nHost: a.t.example\r\nConnection: keep-alive\r\n\r\n")
            let answer = try far.answer()
            #expect(answer.body == "hi" && answer.fields["connection"] == "keep-alive")
        }
        try far.send("GET / HTTP/1.0\r\nHost: a.t.example\r\n\r\n")
        #expect(try far.answer().isClosing)
        try far.wait(for: "close 1000")
    }

    @Test func eachEventIsFlushedAtOnce() throws {
        let next = ThreadSignal()
        let upstream = try Upstream { connection, _ in
            guard connection.readRequest() != nil else { return }
            connection.send(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            for index in 0..<5 {
                _ = next.wait(seconds: 20)
                connection.send("9\r\ndata: \(index)\n\n\r\n")
            }
            connection.send("0\r\n\r\n")
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
        var text = ""
        for index in 0..<5 {
            next.post()
            while !text.contains("data: \(index)\n\n") {
                #expect(try far.step())
                text += String(decoding: far.takePlaintext(), as: UTF8.self)
            }
        }
        while !text.hasSuffix("0\r\n\r\n") {
            #expect(try far.step())
            text += String(decoding: far.takePlaintext(), as: UTF8.self)
        }
    }

    // MARK: 1xx

    @Test func informationalAnswersGoThrough() throws {
        let upstream = try Upstream { connection, _ in
            guard let head = connection.readHead() else { return }
            #expect(head.contains("Expect: 100-continue"))
            connection.send("HTTP/1.1 100 Continue\r\n\r\n")
            #expect(connection.readBody(5) == "hello")
            connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ExchangeTests.ok)
            _ = connection.readHead()
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try far.send(
            "POST / HTTP/1.1\r\nHost: a.t.example\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        #expect(try far.answer().status == 100)
        try far.send("hello")
        let hints = try far.answer()
        #expect(hints.status == 103 && hints.fields["link"] == "</a>")
        #expect(try far.answer().body == "hi")
    }

    @Test func anHTTP10ClientGetsNone() throws {
        let upstream = try Upstream.answering("HTTP/1.1 103 Early Hints\r\n\r\n" + ExchangeTests.ok)
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try far.send("GET / HTTP/1.0\r\nHost: a.t.example\r\n\r\n")
        #expect(try far.answer().status == 200)
    }

    @Test func endlessInformationalAnswersAreCut() throws {
        let upstream = try Upstream.answering(String(repeating: "HTTP/1.1 103 Early Hints\r\n\r\n", count: 65))
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try far.send("GET / HTTP/1.0\r\nHost: a.t.example\r\n\r\n")
        #expect(try far.answer().status == 502)
    }

    // MARK: An upstream gone wrong

    @Test(arguments: ["", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nX:"]) func noWholeHeadIsABadGateway(_ text: String) throws {
        let upstream = try Upstream { connection, _ in
            _ = connection.readRequest()
            connection.send(text)
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        #expect(try far.request().status == 502)
        #expect(proxy.finished().contains("end=upstream_failed"))
        // On a fresh connection nothing is tried twice.
        #expect(upstream.connections == 1)
    }

    @Test(arguments: [
        "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 70_000),
    ]) func aMalformedHeadIsABadGateway(_ text: String) throws {
        let upstream = try Upstream.answering(text)
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        #expect(try far.request().status == 502)
        #expect(proxy.log.wait(for: "malformed response from upstream").count == 1)
        #expect(try far.request(host: "b.t.example").status == 502)
    }

    /// What was cut short never looks whole.
    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nX",
    ]) func aTruncatedBodyEndsAsAnError(_ text: String) throws {
        let upstream = try Upstream { connection, _ in
            _ = connection.readRequest()
            connection.send(text)
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        let answer = try far.request()
        #expect(!answer.isWhole)
        _ = try far.runToEnd()
        #expect(!far.events.contains("close_notify"))
        #expect(proxy.finished().contains("end=upstream_failed"))
    }

    @Test func aTruncatedBodyForHTTP10EndsWithoutCloseNotify() throws {
        let upstream = try Upstream { connection, _ in
            _ = connection.readRequest()
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try far.send("GET / HTTP/1.0\r\nHost: a.t.example\r\n\r\n")
        #expect(try !far.answer().isWhole)
    }

    // MARK: The client goes

    @Test func theUpstreamEndsWithTheClient() throws {
        let ended = ThreadSignal()
        let upstream = try Upstream { connection, _ in
            guard connection.readRequest() != nil else { return }
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
            _ = connection.readHead()
            ended.post()
        }
        let proxy = try TestProxy(["a": upstream.port])
        do {
            let far = try proxy.farSide()
            try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
            while !String(decoding: far.plaintext.array, as: UTF8.self).contains("hi") { _ = try far.step() }
        }
        #expect(ended.wait(seconds: 20))
        #expect(proxy.finished().contains("end=client_gone"))
    }

    /// Neither a lookup nor a connect is waited for on behalf of nobody.
    @Test func aDialEndsWithTheClient() throws {
        let full = try FullListener()
        let proxy = try TestProxy(["a": full.port]) { $0.upstream.connectTimeout = .seconds(15) }
        do {
            let far = try proxy.farSide()
            try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
            #expect(proxy.log.wait(for: "request started").count == 1)
        }
        let start = Reactor.clock()
        #expect(proxy.finished().contains("end=client_gone"))
        #expect(Reactor.clock() - start < 5_000_000_000)
    }

    // MARK: Deadlines

    @Test func aHeadThatDoesNotEndIsATimeOut() throws {
        let proxy = try TestProxy { $0.limits.headerTimeout = .milliseconds(50) }
        let far = try proxy.farSide()
        try far.send("GET / HTTP/1.1\r\nHost:")
        let answer = try far.answer()
        #expect(answer.status == 408 && answer.isClosing)
        try far.wait(for: "close 1000")
    }

    @Test func anIdleTunnelIsClosed() throws {
        let upstream = try Upstream.answering(ExchangeTests.ok)
        let proxy = try TestProxy(["a": upstream.port]) { $0.limits.keepAliveTimeout = .milliseconds(50) }
        let far = try proxy.farSide()
        #expect(try far.request().status == 200)
        try far.wait(for: "close 1000")
        #expect(far.events == ["close_notify", "close 1000"])
    }

    @Test func aSilentUpstreamIsATimeOut() throws {
        let upstream = try Upstream { connection, _ in
            _ = connection.readRequest()
            _ = connection.readHead()
        }
        let proxy = try TestProxy(["a": upstream.port]) { $0.upstream.responseHeaderTimeout = .milliseconds(50) }
        #expect(try proxy.farSide().request().status == 504)
        #expect(proxy.finished().contains("end=timeout"))
    }

    /// The time runs from the end of the request.
    @Test func aSlowUploadIsNoTimeOut() throws {
        let upstream = try Upstream { connection, _ in
            while connection.readRequest() != nil { connection.send(ExchangeTests.ok) }
        }
        let proxy = try TestProxy(["a": upstream.port]) { $0.upstream.responseHeaderTimeout = .milliseconds(50) }
        let far = try proxy.farSide()
        try far.send("POST / HTTP/1.1\r\nHost: a.t.example\r\nContent-Length: 4\r\n\r\n")
        let start = Reactor.clock()
        for index in 0..<4 {
            // A turn of the loop and back takes far less: this is the slow client.
            while Reactor.clock() - start < UInt64(index + 1) * 30_000_000 {
                try far.roundTrip()
            }
            try far.send("x")
        }
        #expect(try far.answer().status == 200)
    }

    @Test func aSilentConnectIsATimeOut() throws {
        let full = try FullListener()
        let proxy = try TestProxy(["a": full.port]) { $0.upstream.connectTimeout = .milliseconds(50) }
        #expect(try proxy.farSide().request().status == 504)
    }
}
