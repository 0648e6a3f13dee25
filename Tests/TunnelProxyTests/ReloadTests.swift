import Testing
import TunnelCore
import TunnelIO
import TunnelProxy
import TunnelTestSupport

/// What a reload takes up outside of requests.
@Suite struct ReloadTests {
    /// Nobody will use them again, and their owner may be waiting to stop.
    @Test func connectionsToUpstreamsThatAreGoneAreClosed() throws {
        let ended = ThreadSignal()
        let old = try Upstream { connection, _ in
            while connection.readRequest() != nil { connection.send(okay()) }
            ended.post()
        }
        let new = try Upstream.answering(okay())
        let proxy = try TestProxy(["a": old.port]) { $0.upstream.idleTimeout = .seconds(3600) }
        let far = try proxy.farSide()
        #expect(try far.request().status == 200)
        try proxy.server.reload(TestProxy.Settings(["b": new.port]).configuration())
        #expect(ended.wait(seconds: 20))
        #expect(try far.request(host: "b.t.example").status == 200)
    }

    @Test func connectionsToUpstreamsThatStayAreKept() throws {
        let upstream = try Upstream.answering(okay())
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        #expect(try far.request().status == 200)
        try proxy.server.reload(TestProxy.Settings(["a": upstream.port, "b": 1]).configuration())
        #expect(try far.request().status == 200)
        #expect(upstream.connections == 1)
    }

    /// A pooled connection was verified by CAs that may count no more.
    @Test func pooledTLSConnectionsGoWithTheirCAs() throws {
        let upstream = try SecureUpstream()
        let proxy = try TestProxy(https: ["a": upstream.port])
        let far = try proxy.farSide()
        for _ in 0..<2 { #expect(try far.request().body == "hi") }
        #expect(upstream.connections == 1)
        var settings = try TestProxy.Settings(https: ["a": upstream.port])
        settings.upstream.tls.caFile = try TestIdentity.strangerFile()
        try proxy.server.reload(settings.configuration())
        #expect(try far.request().status == 502)
        #expect(proxy.log.wait(for: "tls handshake failed").count == 1)
        #expect(upstream.connections == 2)
    }

    /// New connections get the certificate of the files that are named now, at once and whatever the interval.
    @Test func otherCertificateFilesAreTakenUp() throws {
        let (first, second) = try (TestIdentity.makePair(), TestIdentity.makePair())
        let (old, new) = try (
            TestIdentity.files(first, name: "reload-1"), TestIdentity.files(second, name: "reload-2")
        )
        let proxy = try TestProxy {
            $0.tls = ProxyConfiguration.TLS(certFile: old.certificate, keyFile: old.key)
            $0.tls.reloadInterval = .seconds(3600)
        }
        let open = try proxy.farSide()
        #expect(try open.peerFingerprint == TestIdentity.fingerprint(of: first))
        var settings = try TestProxy.Settings()
        settings.tls = ProxyConfiguration.TLS(certFile: new.certificate, keyFile: new.key)
        settings.tls.reloadInterval = .seconds(3600)
        #expect(try proxy.server.reload(settings.configuration()) == [])
        #expect(proxy.log.wait(for: "certificate reloaded").count == 1)
        #expect(try proxy.farSide().peerFingerprint == TestIdentity.fingerprint(of: second))
        // The open one goes on with the certificate that it began with.
        #expect(try open.request(host: "x.t.example").status == 502)
    }
}
