import Glibc
import Testing
import TunnelCore
import TunnelIO
import TunnelProxy
import TunnelTestSupport

/// From the first byte of a connection to the end of its TLS handshake.
@Suite struct TunnelSessionTests {
    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 Upgrade Required", "Upgrade: websocket"),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405 Method Not Allowed", "Allow: GET"),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                + "Sec-WebSocket-Key: short\r\n\r\n", "HTTP/1.1 400 Bad Request", "text/plain"
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n"
                + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", "HTTP/1.1 426 Upgrade Required",
            "Sec-WebSocket-Version: 13"
        ),
        ("\u{16}\u{3}\u{1}", "HTTP/1.1 400 Bad Request", "Connection: close"),
        ("GET / HTTP/2.0\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported", "Connection: close"),
        (
            "GET / HTTP/1.1\r\nX: " + String(repeating: "x", count: 70_000),
            "HTTP/1.1 431 Request Header Fields Too Large", "Connection: close"
        ),
    ]) func anythingButAnUpgradeIsAnswered(_ request: String, _ status: String, _ field: String) throws {
        let proxy = try TestProxy()
        let peer = try connect(port: proxy.port)
        peer.send(request)
        let answer = readToEnd(peer)
        #expect(answer.hasPrefix(status + "\r\n"))
        #expect(answer.contains(field))
    }

    /// Whoever answers a refusal with a flood is cut off, and holds up nobody meanwhile.
    @Test func aFloodBehindARefusalIsCutOff() throws {
        let proxy = try TestProxy()
        let peer = try connect(port: proxy.port)
        peer.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        let flood = OnThread {
            let piece = [UInt8](repeating: 0x41, count: 1 << 20)
            while peer.send(piece) {}
            return true
        }
        #expect(try proxy.farSide().request(host: "x.t.example").status == 502)
        #expect(flood.value() == true)
    }

    /// Also inside: a client of HTTP/2 that broke its rules may have so much on its way, and not five seconds of more.
    @Test func aFloodBehindABrokenRuleIsCutOff() throws {
        let proxy = try TestProxy()
        let far = try FarSide(connect(port: proxy.port), protocols: ["h2"])
        try far.upgrade()
        try far.shakeHands()
        // A frame of DATA on no stream.
        try far.send(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [UInt8](repeating: 0, count: 9))
        #expect(proxy.log.wait(for: "http2 connection failed").count == 1)
        let (peer, piece) = (far.peer, far.frame([UInt8](repeating: 0, count: 1 << 20)))
        let flood = OnThread {
            var count = 0
            while count < 64, peer.send(piece) { count += 1 }
            return count
        }
        // What the kernels on both sides take is more than what is dropped.
        #expect(flood.value() ?? 64 < 32)
    }

    @Test func anUpgradeThatDoesNotComeIsATimeOut() throws {
        let proxy = try TestProxy { $0.limits.headerTimeout = .milliseconds(50) }
        let peer = try connect(port: proxy.port)
        peer.send("GET / HTTP/1.1\r\n")
        #expect(peer.receive()?.isEmpty ?? true)
    }

    @Test func aPeerThatSaysNothingAndGoesLeavesNothing() throws {
        let proxy = try TestProxy()
        do { _ = try connect(port: proxy.port) }
        let far = try proxy.farSide()
        #expect(try far.request(host: "x.t.example").status == 502)
        #expect(proxy.server.connections == 1)
    }

    @Test func connectionsOverTheLimitAreTurnedAway() throws {
        let proxy = try TestProxy { $0.limits.maxConnections = 1 }
        let first = try proxy.farSide()
        let peer = try connect(port: proxy.port)
        let handshake = try ClientHandshake(host: "x")
        var request = ByteBuffer()
        handshake.appendRequest(into: &request)
        peer.send(request.array)
        let answer = readToEnd(peer)
        #expect(answer.hasPrefix("HTTP/1.1 503") && answer.contains("Retry-After: 1"))
        #expect(try first.request(host: "x.t.example").status == 502)
    }

    @Test func aClientHelloBehindTheUpgradeIsTaken() throws {
        let proxy = try TestProxy()
        let far = try FarSide(connect(port: proxy.port))
        try far.upgrade(early: far.firstFlight())
        while !far.isHandshakeComplete { #expect(try far.step()) }
        #expect(try far.request(host: "x.t.example").status == 502)
    }

    @Test func aHandshakeThatDoesNotComeIsATimeOut() throws {
        let proxy = try TestProxy { $0.tls.handshakeTimeout = .milliseconds(50) }
        let far = try FarSide(connect(port: proxy.port))
        try far.upgrade()
        try far.wait(for: "close 1008")
        #expect(proxy.log.wait(for: "tls handshake failed").first?.contains("reason=timeout") == true)
    }

    /// The alert's own name, as operators search for it.
    @Test func aClientThatDoesNotTrustUsIsTold() throws {
        let proxy = try TestProxy()
        let far = try FarSide(connect(port: proxy.port), serverName: "other.example")
        try far.upgrade()
        #expect(throws: (any Error).self) { try far.shakeHands() }
        far.peer.shutDown()
        let line = proxy.log.wait(for: "tls handshake failed").first ?? ""
        #expect(line.contains("peer=127.0.0.1:"))
    }

    @Test func aClientThatGoesInTheHandshakeIsTold() throws {
        let proxy = try TestProxy()
        do {
            let far = try FarSide(connect(port: proxy.port))
            try far.upgrade()
        }
        let line = proxy.log.wait(for: "tls handshake failed").first ?? ""
        #expect(line.contains("connection closed by the peer"))
    }

    /// That is what a health check does, and warnings are for operators to look into.
    @Test func aWebSocketThatIsClosedBeforeTLSIsNoFailure() throws {
        let proxy = try TestProxy()
        let far = try FarSide(connect(port: proxy.port))
        try far.upgrade()
        far.peer.send(far.closeFrame(.normal))
        try far.wait(for: "close 1000")
        #expect(proxy.log.wait(for: "closed before a tls handshake").count == 1)
        #expect(proxy.log.lines(with: "tls handshake failed").isEmpty)
    }

    private func readToEnd(_ peer: Peer) -> String {
        var bytes: [UInt8] = []
        while let piece = peer.receive(), !piece.isEmpty { bytes += piece }
        return String(decoding: bytes, as: UTF8.self)
    }
}
