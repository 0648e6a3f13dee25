import TunnelTestSupport
import Testing
import TunnelCore
import TunnelIO
import TunnelTLS

@testable import TunnelAPI

/// The way through a proxy: CONNECT, then TLS with the server behind it.
@Suite struct HTTPCallProxyTests {
    private static let credentials = Secret("Basic \(secret)")

    @Test(arguments: [false, true]) func asksTheProxyForATunnelToTheServer(_ withCredentials: Bool) throws {
        let server = try ScriptedServer { peer in
            let head = try peer.receiveHead()
            let credentials = withCredentials ? "Proxy-Authorization: Basic \(secret)\r\n" : ""
            guard head == "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\(credentials)\r\n" else {
                throw TestError(head)
            }
            // A length counts for nothing here (RFC 9110 §9.3.6), and interim answers may come.
            peer.send("HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n")
            let tls = try TLSPeer(peer)
            let inner = try tls.receiveHead()
            guard inner.hasPrefix("GET /x?y=1 HTTP/1.1\r\nHost: localhost\r\n"), !inner.contains("Proxy") else {
                throw TestError(inner)
            }
            try tls.send(okay("through"))
        }
        let endpoint = server.proxied(withCredentials ? Self.credentials : nil)
        #expect(try bodyText(endpoint, tls: TestTLS.client()) == "through")
        #expect(server.isDone())
    }

    @Test func aKeptTunnelCarriesTheNextRequest() throws {
        let server = try ScriptedServer { peer in
            try peer.answer("HTTP/1.1 200 OK\r\n\r\n")
            let tls = try TLSPeer(peer)
            try tls.answer(okay())
            try tls.answer(okay())
        }
        try onLoop { loop in
            let tls = try TestTLS.client()
            for _ in 0..<2 { _ = try await request(server.proxied(), tls: tls, on: loop) }
        }
        #expect(server.isDone())
    }

    static let refusals: [(answer: String, text: String)] = [
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!",
            "refused to connect to localhost:443 with status 403"
        ),
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "refused to connect to localhost:443 with status 407: it does not take this user name and password"
        ),
        ("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "refused to connect to localhost:443 with status 302"),
        ("HTTP/1.1 200 OK\r\n\r\n\u{16}", "sent more than the response to CONNECT"),
        ("SSH-2.0-x\r\n", "malformed HTTP version (RFC 9112 2.3)"),
        ("HTTP/1.1 200 OK\r\n", "the connection ended before the response did"),
        ("", "the connection ended before the response did"),
        (
            String(repeating: "HTTP/1.1 102 Wait\r\n\r\n", count: 9), "over 8 interim responses"
        ),
        ("HTTP/1.1 200 OK\r\nX: \(String(repeating: "a", count: 65_536))", "head over 65536 bytes"),
    ]

    @Test(arguments: refusals) func aProxyThatDoesNotOpenATunnelIsTold(_ row: (answer: String, text: String)) throws {
        let server = try ScriptedServer { peer in
            try peer.answer(row.answer)
            peer.shutDown()
            _ = peer.isAtEnd()
        }
        let error = try failure(server.proxied(Self.credentials), tls: TestTLS.client())
        #expect(error == failed(.proxy, .proxy))
        #expect("\(error)".hasPrefix("CONNECT through the proxy \(server.address): "))
        #expect("\(error)".contains(row.text))
        #expect(server.isDone())
    }

    @Test func aProxyThatWantsCredentialsIsTold() throws {
        let server = try ScriptedServer { peer in
            try peer.answer("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        }
        let error = try failure(server.proxied(), tls: TestTLS.client())
        #expect("\(error)".hasSuffix("with status 407: it wants a user name and password"))
        #expect(server.isDone())
    }

    @Test func aSilentProxyIsATimeOut() throws {
        let server = try ScriptedServer { peer in _ = peer.isAtEnd() }
        let error = try failure(server.proxied(), tls: TestTLS.client(), timeout: .milliseconds(100))
        #expect(error == failed(.timedOut, .proxy))
        #expect(server.isDone())
    }

    @Test func aProxyThatCannotBeReachedIsTold() throws {
        let address = try Listener(.loopback(0), isShared: false).address
        let proxy = HTTPProxy(host: "127.0.0.1", port: address.port, authorization: Self.credentials)
        let error = try failure(
            HTTPEndpoint(isSecure: true, host: "localhost", port: 443, proxy: proxy), tls: TestTLS.client())
        #expect(error == failed(.proxy, .connect))
        #expect("\(error)" == "connect to the proxy \(address): connection refused")
    }

    /// The proxy does not get to be the server.
    @Test func theServerBehindTheProxyMustProveItsName() throws {
        let server = try ScriptedServer { peer in
            try peer.answer("HTTP/1.1 200 OK\r\n\r\n")
            if (try? TLSPeer(peer).receive(exactly: 1)) != nil { throw TestError("data came") }
        }
        let proxy = HTTPProxy(host: "127.0.0.1", port: server.port)
        let error = try failure(
            HTTPEndpoint(isSecure: true, host: "api.example", port: 443, proxy: proxy), tls: TestTLS.client())
        #expect(error == failed(.tls, .handshake))
        #expect("\(error)".hasPrefix("TLS handshake with api.example:443: "))
        #expect(server.isDone())
    }
}
