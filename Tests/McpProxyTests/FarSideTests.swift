import Testing
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelProxy

@testable import mcp_proxy

/// The far side against a real proxy in this process, with the sample server behind it.
@Suite struct FarSideTests {
    private static let domain = "far.example"
    private static let localhost = IPAddress(v4Bytes: 127, 0, 0, 1)

    /// Runs `body` with the address of a running proxy, on a loop that also has the sample server.
    private func withProxy(
        _ identity: DemoIdentity, _ body: @escaping @Sendable (SocketAddress, Reactor) async throws -> Void
    ) throws {
        defer { identity.removeFiles() }
        try Loop.run { loop in
            let listener = try Listener(.ip(Self.localhost, port: 0), isShared: false)
            let hello = try HelloListener(listener, on: loop.reactor)
            defer { hello.drain {} }
            var upstream = ProxyConfiguration.Upstream()
            upstream.allowedIPs = [try IPPrefix("127.0.0.0/8")]
            let configuration = try ProxyConfiguration(
                listenAddress: .tcp(Self.localhost, port: 0),
                tls: ProxyConfiguration.TLS(certFile: identity.certificateFile, keyFile: identity.keyFile),
                routes: [Route(key: "hello", upstream: try UpstreamAddress("http://\(hello.address)"))],
                tunnelDomain: Self.domain, upstream: upstream)
            let log = Log(threshold: .error, format: .text, sink: LogLines(), now: SystemClock.now)
            let server = try ProxyServer(configuration: configuration, log: log)
            try server.start()
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await body(.ip(Self.localhost, port: server.port ?? 0), loop.reactor)) } catch {
                outcome = .failure(error)
            }
            _ = await server.stop()
            try outcome.get()
        }
    }

    private func open(
        _ address: SocketAddress, _ host: String = "hello.\(domain)", trusting authority: [UInt8], _ reactor: Reactor
    ) async throws -> FarSide {
        let farSide = try await FarSide.connect(to: address, host: host, within: .seconds(10), on: reactor)
        try await farSide.openWebSocket()
        try await farSide.shakeHands(authority: authority)
        return farSide
    }

    @Test func exchangesOneRequestAfterAnotherAndClosesInOrder() throws {
        let identity = try DemoIdentity(domain: Self.domain)
        try withProxy(identity) { address, reactor in
            let farSide = try await open(address, trusting: identity.authority, reactor)
            #expect(farSide.peerFingerprint == identity.fingerprint)
            #expect(farSide.agreed.hasPrefix("TLSv1.3  ") && farSide.agreed.hasSuffix("  ALPN http/1.1"))
            let start = Array(#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#.utf8)
            for _ in 0..<2 {
                var body: [UInt8] = []
                let response = try await farSide.exchange("POST", "/mcp", body: start) { body += $1 }
                #expect(response.status == 200 && response["mcp-session-id"] != nil && !response.isEventStream)
                #expect(String(decoding: body, as: UTF8.self).contains("hello-server"))
            }
            let missing = try await farSide.exchange("HEAD", "/other") { _, _ in Issue.record("a body") }
            #expect(missing.status == 404)
            #expect(try await farSide.close() == .normal)
        }
    }

    @Test func aStrangersCertificateIsRefused() throws {
        let stranger = try DemoIdentity(domain: Self.domain)
        defer { stranger.removeFiles() }
        try withProxy(try DemoIdentity(domain: Self.domain)) { address, reactor in
            let error = await #expect(throws: FarSideError.self) {
                _ = try await open(address, trusting: stranger.authority, reactor)
            }
            #expect(error?.description.contains("certificate verify failed") == true)
        }
    }

    @Test func aNameThatTheCertificateLacksIsRefused() throws {
        let identity = try DemoIdentity(domain: Self.domain)
        try withProxy(identity) { address, reactor in
            let error = await #expect(throws: FarSideError.self) {
                _ = try await open(address, "hello.other.example", trusting: identity.authority, reactor)
            }
            #expect(error?.description.contains("certificate verify failed") == true)
        }
    }
}
