import TunnelTestSupport
import Testing
import TunnelCore
import TunnelIO
import TunnelTLS

@testable import TunnelAPI

/// Which connection a request goes out on.
@Suite struct HTTPClientTests {
    @Test func sendsHeadAndBodyAndReadsTheResponse() throws {
        let server = try ScriptedServer { peer in
            let head = try peer.receiveHead()
            let body = String(decoding: peer.receive(exactly: 5), as: UTF8.self)
            peer.send("HTTP/1.1 201 Created\r\nX-A: 1\r\nx-b:\r\nContent-Length: \(head.utf8.count + 5)\r\n\r\n")
            peer.send(head + body)
        }
        let (status, fields, echo) = try onLoop { loop in
            let answer = try await request(server.plain, "POST", body: Array("hello".utf8), on: loop)
            return (
                answer.status, answer.fields.map { "\($0.name)=\($0.value)" },
                String(decoding: answer.body, as: UTF8.self)
            )
        }
        #expect(status == 201)
        #expect(fields.prefix(2) == ["X-A=1", "x-b="])
        #expect(
            echo == "POST /x?y=1 HTTP/1.1\r\nHost: \(server.address)\r\nAuthorization: Bearer \(secret)\r\n"
                + "User-Agent: \(userAgent)\r\nAccept: application/json\r\nContent-Length: 5\r\n\r\nhello")
        #expect(server.isDone())
    }

    @Test func aKeptConnectionCarriesTheNextRequest() throws {
        let server = try ScriptedServer { peer in
            try peer.answer(okay("1"))
            try peer.answer(okay("2"))
        }
        let bodies = try onLoop { loop in
            var bodies: [String] = []
            for _ in 0..<2 {
                bodies.append(String(decoding: try await request(server.plain, on: loop).body, as: UTF8.self))
            }
            return bodies
        }
        #expect(bodies == ["1", "2"])
        #expect(server.isDone())
    }

    @Test func aKeptConnectionInTLSCarriesTheNextRequest() throws {
        let server = try ScriptedServer { peer in
            let tls = try TLSPeer(peer)
            try tls.answer(okay("1"))
            try tls.answer(okay("2"))
        }
        let bodies = try onLoop { loop in
            let tls = try TestTLS.client()
            var bodies: [String] = []
            for _ in 0..<2 {
                let answer = try await request(server.secure, tls: tls, on: loop)
                bodies.append(String(decoding: answer.body, as: UTF8.self))
            }
            return bodies
        }
        #expect(bodies == ["1", "2"])
        #expect(server.isDone())
    }

    /// The kept connection was verified by other anchors.
    @Test func aKeptConnectionIsForItsAnchorsOnly() throws {
        let open = OpenPeers()
        let server = try ScriptedServer(
            { peer in
                open.keep(peer)
                try TLSPeer(peer).answer(okay())
            },
            { peer in try TLSPeer(peer).answer(okay()) })
        try onLoop { loop in
            for _ in 0..<2 { _ = try await request(server.secure, tls: TestTLS.client(), on: loop) }
        }
        #expect(server.isDone())
    }

    @Test func anUnrepeatableRequestGetsAConnectionOfItsOwn() throws {
        let open = OpenPeers()
        let server = try ScriptedServer(
            { peer in
                open.keep(peer)
                try peer.answer(okay("1"))
            },
            { peer in try peer.answer(okay("2")) })
        let body = try onLoop { loop in
            _ = try await request(server.plain, on: loop)
            #expect(loop.reactor.resident(HTTPClient.self).parkedCount == 1)
            return try await request(server.plain, isRepeatable: false, on: loop).body
        }
        #expect(body == Array("2".utf8))
        #expect(server.isDone())
    }

    /// It reached the server, which went away without a word.
    @Test func aRepeatableRequestThatAKeptConnectionLostGoesOutOnceMore() throws {
        let server = try ScriptedServer(
            { peer in
                try peer.answer(okay("1"))
                _ = try peer.receiveHead()
            },
            { peer in try peer.answer(okay("2")) })
        let body = try onLoop { loop in
            _ = try await request(server.plain, on: loop)
            return try await request(server.plain, on: loop).body
        }
        #expect(body == Array("2".utf8))
        #expect(server.isDone())
    }

    /// The second loss is on a new connection, so there is no third attempt; and the first may have been acted on.
    @Test func aRequestGoesOutTwiceAtMost() throws {
        let server = try ScriptedServer(
            { peer in
                try peer.answer(okay("1"))
                _ = try peer.receiveHead()
            },
            { peer in _ = try peer.receiveHead() })
        let error = try onLoop { loop in
            _ = try await request(server.plain, on: loop)
            return await HTTPClientTests.failure(of: server.plain, on: loop)
        }
        #expect(error == failed(.closed, .response, received: true))
        #expect(server.isDone())
    }

    /// That no second connection can be opened does not take the first attempt back.
    @Test func theFirstAttemptCountsWhenTheSecondFails() throws {
        let server = try ScriptedServer { peer in
            try peer.answer(okay("1"))
            _ = try peer.receiveHead()
        }
        let error = try onLoop { loop in
            _ = try await request(server.plain, on: loop)
            return await HTTPClientTests.failure(of: server.plain, on: loop)
        }
        #expect(error == failed(.connect, .connect, received: true))
        #expect(server.isDone())
    }

    @Test func aKeptConnectionThatDiesWithinTheAnswerIsAnError() throws {
        let server = try ScriptedServer { peer in
            try peer.answer(okay("1"))
            try peer.answer("HTTP/1.1 200")
        }
        let error = try onLoop { loop in
            _ = try await request(server.plain, on: loop)
            return await HTTPClientTests.failure(of: server.plain, on: loop)
        }
        #expect(error == failed(.closed, .response, received: true))
        #expect(server.isDone())
    }

    /// What comes between two requests could be taken for the response to the second.
    @Test(arguments: ["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", ""])
    func aKeptConnectionThatIsNotQuietIsDropped(_ unasked: String) throws {
        let gate = ThreadSignal()
        let open = OpenPeers()
        let server = try ScriptedServer(
            { peer in
                open.keep(peer)
                try peer.answer(okay("1"))
                _ = gate.wait(seconds: 20)
                if unasked.isEmpty { peer.shutDown() } else { peer.send(unasked) }
            },
            { peer in try peer.answer(okay("2")) })
        let body = try onLoop { loop in
            _ = try await request(server.plain, on: loop)
            #expect(loop.reactor.resident(HTTPClient.self).parkedCount == 1)
            gate.post()
            while loop.reactor.resident(HTTPClient.self).parkedCount > 0 { await turns(on: loop.reactor) }
            return try await request(server.plain, on: loop).body
        }
        #expect(body == Array("2".utf8))
        #expect(server.isDone())
    }

    /// The loop had no turn since the forged answer came, so only the look before the request can see it.
    @Test func aConnectionIsLookedAtBeforeItIsUsedAgain() throws {
        let (gate, sent) = (ThreadSignal(), ThreadSignal())
        let open = OpenPeers()
        let server = try ScriptedServer(
            { peer in
                open.keep(peer)
                try peer.answer(okay("1"))
                _ = gate.wait(seconds: 20)
                peer.send(okay("forged"))
                sent.post()
            },
            { peer in try peer.answer(okay("2")) })
        let body = try onLoop { loop in
            _ = try await request(server.plain, on: loop)
            gate.post()
            _ = sent.wait(seconds: 20)
            return try await request(server.plain, on: loop).body
        }
        #expect(body == Array("2".utf8))
        #expect(server.isDone())
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1",
        "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n1", okay("1") + "HTTP/1.1",
    ]) func aConnectionThatIsOverIsNotKept(_ text: String) throws {
        let server = try ScriptedServer { peer in
            try peer.answer(text)
            _ = peer.isAtEnd()
        }
        let kept = try onLoop { loop in
            _ = try await request(server.plain, on: loop)
            return loop.reactor.resident(HTTPClient.self).parkedCount
        }
        #expect(kept == 0)
        #expect(server.isDone())
    }

    @Test func noMoreAreKeptThanTheLimit() throws {
        let open = OpenPeers()
        let step: @Sendable (Peer) throws -> Void = { peer in
            open.keep(peer)
            try peer.answer(okay())
        }
        let server = try ScriptedServer(step, step, step, step, step)
        let counts = try onLoop { loop in
            var counts: [Int] = []
            for _ in 0...HTTPClient.parking.maxParked {
                _ = try await request(server.plain, isRepeatable: false, on: loop)
                counts.append(loop.reactor.resident(HTTPClient.self).parkedCount)
            }
            return counts
        }
        #expect(counts == [1, 2, 3, 4, 4] && HTTPClient.parking.maxParked == 4)
        #expect(server.isDone())
    }

    /// A server that closes after five seconds says so; nothing is sent in the last second of that.
    @Test(arguments: [("timeout=5", 1), ("timeout=1", 1), ("timeout=0", 0), ("max=5", 1)])
    func whatTheServerSaysAboutItsPatienceCounts(_ row: (value: String, parked: Int)) throws {
        let open = OpenPeers()
        let server = try ScriptedServer { peer in
            open.keep(peer)
            try peer.answer("HTTP/1.1 200 OK\r\nKeep-Alive: \(row.value)\r\nContent-Length: 0\r\n\r\n")
        }
        let count = try onLoop { loop in
            _ = try await request(server.plain, on: loop)
            return loop.reactor.resident(HTTPClient.self).parkedCount
        }
        #expect(count == row.parked)
        #expect(server.isDone())
    }

    @Test func placesThatAreNotUsedAnyMoreAreGivenUp() throws {
        let open = OpenPeers()
        let servers = try (0...HTTPClient.maxPlaces).map { _ in
            try ScriptedServer { peer in
                open.keep(peer)
                try peer.answer(okay())
            }
        }
        let count = try onLoop { loop in
            for server in servers { _ = try await request(server.plain, on: loop) }
            return loop.reactor.resident(HTTPClient.self).parkedCount
        }
        #expect(count == HTTPClient.maxPlaces)
        #expect(servers.allSatisfy { $0.isDone() })
    }

    @Test func theEndOfTheLoopClosesWhatIsKept() throws {
        let server = try ScriptedServer { peer in
            try peer.answer(okay())
            if !peer.isAtEnd() { throw TestError("still open") }
        }
        try onLoop { loop in
            _ = try await request(server.plain, on: loop)
            #expect(loop.reactor.resident(HTTPClient.self).parkedCount == 1)
        }
        #expect(server.isDone())
    }

    private static func failure(of endpoint: HTTPEndpoint, on loop: isolated Loop) async -> TransportError? {
        do throws(TransportError) {
            _ = try await request(endpoint, on: loop)
            return nil
        } catch { return error }
    }

    /// A connection made with other credentials, or past the proxy, is another one.
    @Test func theProxyIsPartOfTheEndpoint() {
        func endpoint(_ authorization: String?, inTLS: Bool = false) -> HTTPEndpoint {
            HTTPEndpoint(
                isSecure: true, host: "a", port: 1,
                proxy: HTTPProxy(
                    isSecure: inTLS, host: "p", port: 2, authorization: authorization.map { Secret($0) }))
        }
        #expect(endpoint("x") == endpoint("x"))
        #expect(endpoint("x") != endpoint("y") && endpoint("x") != endpoint(nil))
        #expect(endpoint("x") != endpoint("x", inTLS: true))
        #expect(endpoint(nil) != HTTPEndpoint(isSecure: true, host: "a", port: 1))
        #expect(!"\(String(reflecting: endpoint("hush")))".contains("hush"))
        // A plain one is on this machine.
        #expect(
            HTTPEndpoint(isSecure: false, host: "localhost", port: 1, proxy: HTTPProxy(host: "p", port: 2)).proxy == nil
        )
        #expect("\(HTTPEndpoint(isSecure: true, host: "fd00::1", port: 443))" == "[fd00::1]:443")
    }
}
