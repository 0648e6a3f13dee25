import TunnelTestSupport
import Testing
import TunnelCore
import TunnelIO
import TunnelTLS

@testable import TunnelAPI

/// The way through a proxy that is itself reached in TLS: its TLS, CONNECT in that, then TLS with the server in that.
@Suite struct HTTPCallSecureProxyTests {
    private static let credentials = Secret("Basic \(secret)")
    private static let opened = "HTTP/1.1 200 OK\r\n\r\n"

    @Test(arguments: [false, true]) func tunnelsInsideTheProxysTLS(_ withCredentials: Bool) throws {
        let server = try ScriptedServer { peer in
            let outer = try TLSPeer(peer)
            let head = try outer.receiveHead()
            let credentials = withCredentials ? "Proxy-Authorization: Basic \(secret)\r\n" : ""
            guard head == "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\(credentials)\r\n" else {
                throw TestError(head)
            }
            try outer.send(Self.opened)
            let inner = try TLSPeer(inside: outer)
            let request = try inner.receiveHead()
            guard request.hasPrefix("GET /x?y=1 HTTP/1.1\r\nHost: localhost\r\n"), !request.contains("Proxy") else {
                throw TestError(request)
            }
            try inner.send(okay("through"))
            // Both are ended in order, the inner one first.
            guard inner.isEnded(), outer.isEnded() else { throw TestError("no close_notify") }
        }
        let endpoint = server.proxiedInTLS(withCredentials ? Self.credentials : nil)
        #expect(try bodyText(endpoint, tls: TestTLS.client()) == "through")
        #expect(server.isDone())
    }

    /// Around a record of either session, and more than both take at once.
    @Test(arguments: [1, 16_383, 16_384, 16_385, 300_000]) func anyLengthComesThroughBothWays(_ count: Int) throws {
        let server = try ScriptedServer { peer in
            let inner = try Self.tunnel(TLSPeer(peer))
            _ = try inner.receiveHead()
            let body = try inner.receive(exactly: count)
            try inner.send(okay(body))
        }
        let body = [UInt8](repeating: UInt8(ascii: "b"), count: count)
        let response = try onLoop { loop in
            try await request(server.proxiedInTLS(), "POST", body: body, tls: TestTLS.client(), on: loop)
        }
        #expect(response.body == body)
        #expect(server.isDone())
    }

    @Test func eachRequestHasItsOwnTunnel() throws {
        let step: @Sendable (Peer) throws -> Void = { peer in
            let inner = try Self.tunnel(TLSPeer(peer))
            try inner.answer(okay())
            guard inner.isEnded() else { throw TestError("kept") }
        }
        let server = try ScriptedServer(step, step)
        try onLoop { loop in
            let tls = try TestTLS.client()
            for _ in 0..<2 { _ = try await request(server.proxiedInTLS(), tls: tls, on: loop) }
            #expect(loop.reactor.resident(HTTPClient.self).parkedCount == 0)
        }
        #expect(server.isDone())
    }

    // MARK: Whose fault it is

    @Test func theProxyMustProveItsName() throws {
        let server = try ScriptedServer { peer in
            if (try? TLSPeer(peer).receive(exactly: 1)) != nil { throw TestError("data came") }
        }
        let error = try failure(server.proxiedInTLS(Self.credentials, proxy: "127.0.0.1"), tls: TestTLS.client())
        #expect(error == failed(.tls, .proxyHandshake))
        #expect("\(error)".hasPrefix("TLS handshake with the proxy \(server.address): "))
        #expect("\(error)".contains("IP address mismatch"))
        #expect(server.isDone())
    }

    @Test func aProxyInPlainIsTold() throws {
        let server = try ScriptedServer { peer in
            _ = peer.receive()
            peer.send("HTTP/1.1 400 Bad Request\r\n\r\n")
            _ = peer.isAtEnd()
        }
        let error = try failure(server.proxiedInTLS(Self.credentials), tls: TestTLS.client())
        #expect(error == failed(.tls, .proxyHandshake))
        #expect("\(error)".contains("wrong version number"))
        #expect(server.isDone())
    }

    @Test func theServerBehindTheProxyMustProveItsName() throws {
        let server = try ScriptedServer { peer in
            let outer = try TLSPeer(peer)
            try outer.answer(Self.opened)
            if (try? TLSPeer(inside: outer).receive(exactly: 1)) != nil { throw TestError("data came") }
        }
        let error = try failure(server.proxiedInTLS(server: "api.example"), tls: TestTLS.client())
        #expect(error == failed(.tls, .handshake))
        #expect("\(error)".hasPrefix("TLS handshake with api.example:443: "))
        #expect(server.isDone())
    }

    static let refusals: [(answer: String, text: String)] = [
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "refused to connect to localhost:443 with status 403"),
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "refused to connect to localhost:443 with status 407: it does not take this user name and password"
        ),
        ("HTTP/1.1 200 OK\r\n\r\n\u{16}", "sent more than the response to CONNECT"),
        ("SSH-2.0-x\r\n", "malformed HTTP version (RFC 9112 2.3)"),
        ("HTTP/1.1 200 OK\r\n", "the connection ended before the response did"),
    ]

    @Test(arguments: refusals) func aProxyThatDoesNotOpenATunnelIsTold(_ row: (answer: String, text: String)) throws {
        let server = try ScriptedServer { peer in
            let outer = try TLSPeer(peer)
            try outer.answer(row.answer)
            outer.close()
            _ = peer.isAtEnd()
        }
        let error = try failure(server.proxiedInTLS(Self.credentials), tls: TestTLS.client())
        #expect(error == failed(.proxy, .proxy))
        #expect("\(error)" == "CONNECT through the proxy localhost:\(server.port): \(row.text)")
        #expect(server.isDone())
    }

    /// How the proxy ends what leads through it.
    enum Cut: CaseIterable { case orderly, bare, reset }

    private static func cut(_ outer: TLSPeer, _ cut: Cut) {
        switch cut {
        case .orderly: outer.close()
        case .bare: outer.peer.shutDown()
        case .reset: outer.peer.reset()
        }
    }

    /// Not the server's doing, which had no chance to end its session in order.
    @Test(arguments: Cut.allCases) func aProxyThatEndsTheTunnelInTheHandshakeIsTold(_ cut: Cut) throws {
        let server = try ScriptedServer { peer in
            let outer = try TLSPeer(peer)
            try outer.answer(Self.opened)
            _ = try outer.receive(exactly: 5)
            Self.cut(outer, cut)
            _ = peer.isAtEnd()
        }
        let error = try failure(server.proxiedInTLS(Self.credentials), tls: TestTLS.client())
        #expect(error == failed(.proxy, .handshake))
        #expect(
            "\(error)".hasPrefix(
                "TLS handshake with localhost:443: the proxy localhost:\(server.port) ended the tunnel: "))
        #expect(server.isDone())
    }

    @Test(arguments: Cut.allCases) func aProxyThatEndsTheTunnelInTheResponseIsTold(_ cut: Cut) throws {
        let server = try ScriptedServer { peer in
            let outer = try TLSPeer(peer)
            let inner = try Self.tunnel(outer)
            try inner.answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            Self.cut(outer, cut)
            _ = peer.isAtEnd()
        }
        let error = try failure(server.proxiedInTLS(Self.credentials), tls: TestTLS.client())
        #expect(error == failed(.proxy, .response, received: true))
        #expect("\(error)".contains("localhost:443: the proxy localhost:\(server.port) ended the tunnel: "))
        #expect(server.isDone())
    }

    @Test func aServerThatEndsItsSessionIsNotTheProxysFault() throws {
        let server = try ScriptedServer { peer in
            let inner = try Self.tunnel(TLSPeer(peer))
            try inner.answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            inner.close()
            _ = peer.isAtEnd()
        }
        let error = try failure(server.proxiedInTLS(Self.credentials), tls: TestTLS.client())
        #expect(error == failed(.closed, .response, received: true))
        #expect("\(error)".hasSuffix("localhost:443: the connection ended before the response did"))
        #expect(server.isDone())
    }

    /// Until when everything goes well.
    enum Silence: CaseIterable {
        case proxyHandshake, proxy, handshake, response

        var stage: TransportError.Stage {
            switch self {
            case .proxyHandshake: .proxyHandshake
            case .proxy: .proxy
            case .handshake: .handshake
            case .response: .response
            }
        }
    }

    @Test(arguments: Silence.allCases) func silenceIsATimeOutAtEachStep(_ silence: Silence) throws {
        let server = try ScriptedServer { peer in
            defer { _ = peer.isAtEnd() }
            if silence == .proxyHandshake { return }
            let outer = try TLSPeer(peer)
            _ = try outer.receiveHead()
            if silence == .proxy { return }
            try outer.send(Self.opened)
            if silence == .handshake { return }
            _ = try TLSPeer(inside: outer).receiveHead()
        }
        // Long enough for two handshakes on a machine that is busy.
        let error = try failure(server.proxiedInTLS(Self.credentials), tls: TestTLS.client(), timeout: .seconds(2))
        #expect(error == failed(.timedOut, silence.stage, received: silence == .response))
        #expect("\(error)".hasSuffix(": timed out after 2.0 seconds"))
        #expect(server.isDone())
    }

    private static func tunnel(_ outer: TLSPeer) throws -> TLSPeer {
        try outer.answer(opened)
        return try TLSPeer(inside: outer)
    }
}
