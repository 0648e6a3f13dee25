import Testing
import TunnelCore
import TunnelIO
import TunnelProxy
import TunnelTestSupport

/// One tunnel, one request after another: what was true of one is not of the next.
@Suite struct KeptConnectionTests {
    /// A body that went up does not keep the next request from being sent again.
    @Test func aRequestBehindAnUploadIsSentAgain() throws {
        let upstream = try Upstream { connection, number in
            while connection.readRequest() != nil {
                connection.send(okay("\(number)"))
                // The first one reads another head, and goes.
                if number == 1 {
                    _ = connection.readHead()
                    return
                }
            }
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try upload(far, "hello")
        #expect(try far.answer().body == "1")
        #expect(try far.request().body == "2")
        #expect(upstream.connections == 2)
    }

    /// Each upload has a task of its own, also the second one of a tunnel.
    @Test func anUploadBehindAnUpload() throws {
        let upstream = try Upstream { connection, _ in
            while let (_, body) = connection.readRequest() { connection.send(okay(body)) }
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        for word in ["one", "two", "three"] {
            try upload(far, word)
            #expect(try far.answer().body == word)
        }
        #expect(upstream.connections == 1)
    }

    /// A request that was given up is no reason to give up the next one.
    @Test func aRequestBehindATimeOut() throws {
        let upstream = try Upstream { connection, number in
            guard connection.readRequest() != nil else { return }
            if number == 1 {
                _ = connection.readHead()
            } else {
                connection.send(okay("late"))
                _ = connection.readHead()
            }
        }
        let proxy = try TestProxy(["a": upstream.port]) { $0.upstream.responseHeaderTimeout = .milliseconds(200) }
        let far = try proxy.farSide()
        #expect(try far.request().status == 504)
        #expect(try far.request().body == "late")
        let lines = proxy.log.wait(for: "request finished", count: 2)
        #expect(lines.map { $0.contains("end=timeout") } == [true, false])
    }

    /// A body of ours that was refused, then one that goes through.
    @Test func aRequestBehindARefusal() throws {
        let upstream = try Upstream.answering(okay())
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        for _ in 0..<3 {
            #expect(try far.request("POST", host: "b.t.example", body: "x").status == 502)
            #expect(try far.request("POST", body: "x").status == 200)
        }
        #expect(proxy.finished(6).contains("end=complete"))
    }

    // MARK: The rest of a request whose response is whole

    /// It may come as long as it moves. Nobody waits for one that does not.
    @Test func anUploadThatNoLongerMovesIsGivenUp() throws {
        let upstream = try Upstream { connection, _ in
            guard connection.readHead() != nil else { return }
            connection.send(okay())
            _ = connection.readBody(100)
        }
        let proxy = try TestProxy(["a": upstream.port]) { $0.limits.headerTimeout = .milliseconds(100) }
        let far = try proxy.farSide()
        try far.send("POST / HTTP/1.1\r\nHost: a.t.example\r\nContent-Length: 100\r\n\r\nx")
        #expect(try far.answer().isWhole)
        // The response was whole, and the tunnel ends in order; that the request was not is the client's doing.
        try far.wait(for: "close 1000")
        #expect(far.events == ["close_notify", "close 1000"])
        #expect(proxy.finished().contains("end=complete"))
    }

    @Test func anUploadThatMovesIsNotGivenUp() throws {
        let upstream = try Upstream { connection, _ in
            while connection.readHead() != nil {
                connection.send(okay())
                guard connection.readBody(8) == "xxxxxxxx" else { return }
            }
        }
        let proxy = try TestProxy(["a": upstream.port]) { $0.limits.headerTimeout = .milliseconds(400) }
        let far = try proxy.farSide()
        try far.send("POST / HTTP/1.1\r\nHost: a.t.example\r\nContent-Length: 8\r\n\r\n")
        #expect(try far.answer().isWhole)
        let start = Reactor.clock()
        for index in 0..<8 {
            // The slow client: in all longer than the bound, and each time far less.
            while Reactor.clock() - start < UInt64(index) * 100_000_000 { try far.roundTrip() }
            try far.send("x")
        }
        #expect(try far.request("POST", body: "xxxxxxxx").isWhole)
        #expect(upstream.connections == 1)
    }

    /// A request whose body comes behind its head, so that it has a task of its own.
    private func upload(_ far: FarSide, _ body: String) throws {
        try far.send("POST / HTTP/1.1\r\nHost: a.t.example\r\nContent-Length: \(body.utf8.count)\r\n\r\n")
        try far.roundTrip()
        try far.send(body)
    }
}
