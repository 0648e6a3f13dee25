import Testing
import TunnelCore
import TunnelIO
import TunnelProxy
import TunnelTestSupport

/// The counters as a value, for whoever embeds the proxy.
@Suite struct ProxyServerMetricsTests {
    private func family(_ name: String, of server: ProxyServer) async throws -> MetricFamily {
        try #require(await server.metrics().first { $0.name == name })
    }

    @Test func theyAreReadWhileItRuns() async throws {
        let upstream = try Upstream.answering(okay())
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        for _ in 0..<3 { #expect(try far.request().status == 200) }
        let duration = try await family("http_server_request_duration_seconds", of: proxy.server)
        #expect(duration[["route": "a", "method": "GET", "status": "2xx"]]?.count == 3)
        let open = try await family("mcp_tunnel_tunnels_open", of: proxy.server)
        #expect(open.samples.map(\.value) == [.number(1)])
        // What nobody knows without an admin listener is not there.
        #expect(await !proxy.server.metrics().contains { $0.name == "mcp_tunnel_ready" })
    }

    @Test func everyNameIsThereOnceAndHasItsSamplesOnce() async throws {
        let proxy = try TestProxy()
        let families = await proxy.server.metrics()
        #expect(Set(families.map(\.name)).count == families.count)
        for family in families {
            #expect(Set(family.samples.map(\.labels)).count == family.samples.count)
            #expect((family.kind == .counter) == family.name.hasSuffix("_total"))
        }
    }

    /// Also of a proxy whose loops are not there yet, or any more, or end at this moment.
    @Test func whoAsksAlwaysHasAResponse() async throws {
        let server = try ProxyServer(
            configuration: try TestProxy.Settings().configuration(), log: LogRecorder().log())
        #expect(try await family("mcp_tunnel_tunnels_total", of: server).samples.map(\.value) == [.count(0)])
        try server.start()
        async let stopped = server.stop()
        for _ in 0..<50 { #expect(await !server.metrics().isEmpty) }
        #expect(await stopped)
        #expect(server.state == .stopped)
        #expect(try await family("mcp_tunnel_tunnels_total", of: server).samples.map(\.value) == [.count(0)])
        #expect(try await family("process_open_fds", of: server).samples[0].count > 2)
    }

    @Test func reloadsAreCounted() async throws {
        let proxy = try TestProxy()
        try proxy.server.reload(TestProxy.Settings(["b": 1]).configuration())
        var bad = try TestProxy.Settings()
        bad.upstream.tls.caFile = "/nonexistent"
        #expect(throws: ConfigurationError.self) { try proxy.server.reload(bad.configuration()) }
        let reloads = try await family("mcp_tunnel_reloads_total", of: proxy.server)
        #expect(reloads[["kind": "configuration", "result": "ok"]]?.count == 1)
        #expect(reloads[["kind": "configuration", "result": "failed"]]?.count == 1)
        #expect(reloads[["kind": "certificate", "result": "ok"]]?.count == 0)
    }
}
