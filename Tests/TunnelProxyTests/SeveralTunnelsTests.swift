import Testing
import TunnelCore
import TunnelTestSupport

@testable import TunnelProxy

/// Two tunnels in one process: `a.example` and `b.example`, each with a route `echo` of its own.
@Suite struct SeveralTunnelsTests {
    private final class Bench {
        let first: Upstream
        let second: Upstream
        let server: ProxyServer
        let log = LogRecorder()
        let pairs: [String: TestIdentity.Pair]

        init() throws {
            (first, second) = (try Upstream.answering(okay("first")), try Upstream.answering(okay("second")))
            pairs = [
                "a.example": try TestIdentity.makePair(domain: "a.example"),
                "b.example": try TestIdentity.makePair(domain: "b.example"),
                "c.example": try TestIdentity.makePair(domain: "c.example"),
            ]
            server = try ProxyServer(
                configuration: Self.configuration([
                    Self.tunnel("a.example", first.port, pairs), Self.tunnel("b.example", second.port, pairs),
                ]), log: log.log())
            try server.start()
        }

        deinit {
            server.stopNow()
            server.stopAndWait()
        }

        static func tunnel(
            _ domain: String, _ port: UInt16, _ pairs: [String: TestIdentity.Pair]
        ) throws -> ProxyConfiguration.Tunnel {
            let files = try TestIdentity.files(pairs[domain], name: "\(domain)-\(UInt64.random(in: 0 ... .max))")
            return ProxyConfiguration.Tunnel(
                domain: domain, certFile: files.certificate, keyFile: files.key,
                routes: [Route(key: "echo", upstream: try UpstreamAddress("http://127.0.0.1:\(port)"))])
        }

        static func configuration(_ tunnels: [ProxyConfiguration.Tunnel]) throws -> ProxyConfiguration {
            var upstream = ProxyConfiguration.Upstream()
            upstream.allowedIPs = [try IPPrefix("127.0.0.0/8")]
            return try ProxyConfiguration(
                listenAddress: .tcp(IPAddress(v4Bytes: 127, 0, 0, 1), port: 0), tls: ProxyConfiguration.TLS(),
                routes: [],
                logLevel: .debug, threads: 1, upstream: upstream, tunnels: tunnels)
        }

        func tunnel(_ domain: String, _ port: UInt16) throws -> ProxyConfiguration.Tunnel {
            try Self.tunnel(domain, port, pairs)
        }

        func reload(_ tunnels: ProxyConfiguration.Tunnel...) throws {
            try server.reload(Self.configuration(tunnels))
        }

        func farSide(_ name: String) throws -> FarSide { try FarSide(port: server.port ?? 0, serverName: name) }
    }

    @Test func eachTunnelHasItsCertificateAndItsRoutes() throws {
        let bench = try Bench()
        for (domain, body) in [("a.example", "first"), ("b.example", "second")] {
            let far = try bench.farSide("echo.\(domain)")
            #expect(try far.peerFingerprint == TestIdentity.fingerprint(of: try #require(bench.pairs[domain])))
            for _ in 0..<2 { #expect(try far.request(host: "echo.\(domain)").body == body) }
        }
        #expect(bench.first.connections == 1 && bench.second.connections == 1)
    }

    @Test func aHostOfAnotherTunnelIsMisdirected() throws {
        let bench = try Bench()
        let far = try bench.farSide("echo.a.example")
        for host in ["echo.b.example", "ECHO.B.EXAMPLE:443", "nothing.b.example", "b.example."] {
            let answer = try far.request(host: host)
            #expect(answer.status == 421 && answer.body == "This connection is for another tunnel\n", "\(host)")
        }
        // Nobody's host is nobody's route, and the tunnel's own goes on.
        for host in ["echo.c.example", "nothing.a.example", "xb.example"] {
            #expect(try far.request(host: host).status == 502, "\(host)")
        }
        #expect(try far.request(host: "echo.a.example").body == "first")
        #expect(bench.second.connections == 0)
        #expect(bench.log.lines(with: "host of another tunnel").count == 4)
    }

    @Test(arguments: ["echo.c.example", "localhost", "example"])
    func aNameOfNoTunnelGetsNoCertificate(_ name: String) throws {
        let bench = try Bench()
        #expect(throws: (any Error).self) { _ = try bench.farSide(name) }
        let line = try #require(bench.log.wait(for: "tls handshake failed").first)
        #expect(line.contains("unrecognized name") && line.contains("alert_from=proxy"))
    }

    /// A tunnel that is taken out ends its idle connections; the others do not notice.
    @Test func aTunnelThatIsTakenOutDrains() throws {
        let bench = try Bench()
        let (a, b) = (try bench.farSide("echo.a.example"), try bench.farSide("echo.b.example"))
        #expect(try a.request(host: "echo.a.example").body == "first")
        #expect(try b.request(host: "echo.b.example").body == "second")
        try bench.reload(bench.tunnel("a.example", bench.first.port))
        #expect(try b.runToEnd().contains("close_notify"))
        #expect(throws: (any Error).self) { _ = try bench.farSide("echo.b.example") }
        #expect(try a.request(host: "echo.a.example").body == "first")
        // It is nobody's host then.
        #expect(try a.request(host: "echo.b.example").status == 502)
    }

    /// Connections keep their tunnel, wherever it stands in the file.
    @Test func aTunnelThatIsAddedIsThereAtOnce() throws {
        let bench = try Bench()
        let third = try Upstream.answering(okay("third"))
        let b = try bench.farSide("echo.b.example")
        #expect(try b.request(host: "echo.b.example").body == "second")
        try bench.reload(
            bench.tunnel("c.example", third.port), bench.tunnel("b.example", bench.second.port),
            bench.tunnel("a.example", bench.first.port))
        #expect(try bench.farSide("echo.c.example").request(host: "echo.c.example").body == "third")
        #expect(try b.request(host: "echo.b.example").body == "second")
        #expect(try b.request(host: "echo.c.example").status == 421)
        // And it comes back with its own, too.
        try bench.reload(bench.tunnel("a.example", bench.first.port))
        try bench.reload(bench.tunnel("a.example", bench.first.port), bench.tunnel("b.example", third.port))
        #expect(try bench.farSide("echo.b.example").request(host: "echo.b.example").body == "third")
    }

    /// A reload that brings a tunnel without a certificate is none.
    @Test func aTunnelWithoutACertificateIsRefused() throws {
        let bench = try Bench()
        var broken = try bench.tunnel("c.example", 1)
        broken.certFile = "/nonexistent/c.crt"
        let tunnels = [try bench.tunnel("a.example", bench.first.port), broken]
        let error = #expect(throws: ConfigurationError.self) {
            try bench.server.reload(Bench.configuration(tunnels))
        }
        #expect(error?.diagnostics.map(\.field) == ["tunnels.c.example.tls.cert_file"])
        #expect(try bench.farSide("echo.b.example").request(host: "echo.b.example").body == "second")
    }

    /// The form may change while the proxy runs.
    @Test func fromOneTunnelToSeveralAndBack() throws {
        let upstream = try Upstream.answering(okay("single"))
        let proxy = try TestProxy(["a": upstream.port])
        let old = try proxy.farSide()
        #expect(try old.request().body == "single")
        let bench = try Bench()
        try proxy.server.reload(Bench.configuration([bench.tunnel("a.example", bench.first.port)]))
        #expect(try old.runToEnd().contains("close_notify"))
        #expect(
            try FarSide(port: proxy.port, serverName: "echo.a.example").request(host: "echo.a.example").body == "first")
        try proxy.server.reload(TestProxy.Settings(["a": upstream.port]).configuration())
        #expect(try proxy.farSide().request().body == "single")
    }

    /// One tunnel's list of addresses is no other's.
    @Test func addressesAreAllowedByTunnel() throws {
        let bench = try Bench()
        var (a, b) = (
            try bench.tunnel("a.example", bench.first.port), try bench.tunnel("b.example", bench.second.port)
        )
        (a.allowedIPs, b.allowedIPs) = ([try IPPrefix("127.0.0.1")], [try IPPrefix("127.0.0.2")])
        try bench.reload(a, b)
        #expect(try bench.farSide("echo.a.example").request(host: "echo.a.example").status == 200)
        #expect(try bench.farSide("echo.b.example").request(host: "echo.b.example").status == 502)
        let refusals = bench.log.lines(with: "IP validation failed")
        // One of the reload, which has seen it before, and one of the request.
        #expect(refusals.count == 2 && refusals.allSatisfy { $0.contains("echo") })
        #expect(bench.second.connections == 0)
    }

    /// Two tunnels never share a connection to an upstream, which is the same for both here.
    @Test func noConnectionServesTwoTunnels() throws {
        let bench = try Bench()
        try bench.reload(
            bench.tunnel("a.example", bench.first.port), bench.tunnel("b.example", bench.first.port))
        let (a, b) = (try bench.farSide("echo.a.example"), try bench.farSide("echo.b.example"))
        for _ in 0..<3 {
            #expect(try a.request(host: "echo.a.example").status == 200)
            #expect(try b.request(host: "echo.b.example").status == 200)
        }
        #expect(bench.first.connections == 2)
    }

    @Test func aNumberMeansTheSameTunnelForGood() {
        var numbers = TunnelNumbers()
        #expect([numbers.number(of: "a"), numbers.number(of: nil), numbers.number(of: "b")] == [0, 1, 2])
        #expect([numbers.number(of: "b"), numbers.number(of: "a"), numbers.number(of: "c")] == [2, 0, 3])
        #expect(numbers.end == 4)
    }
}
