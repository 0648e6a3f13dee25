import Testing
import TunnelCore
import TunnelIO
import TunnelProxy
import TunnelTestSupport

/// What bounds a request, and what is said when a bound was reached.
@Suite struct ExchangeLimitsTests {
    private func count(
        _ family: String, _ labels: KeyValuePairs<String, String>, of proxy: TestProxy
    ) async throws -> UInt64? {
        let families = await proxy.server.metrics()
        return try #require(families.first { $0.name == family })[labels]?.count
    }

    /// A place is one request's at a time, and the next one's when that has ended.
    @Test(arguments: [true, false]) func aPlaceIsGivenBack(_ isOfRoute: Bool) throws {
        let upstream = try Upstream.answering(okay())
        let proxy = try TestProxy(["a": upstream.port]) {
            if isOfRoute {
                $0.routeOptions["a"] = RouteOptions()
                $0.routeOptions["a"]?.maxRequests = 1
            } else {
                ($0.limits.maxRequests, $0.limits.maxQueued, $0.limits.queueTimeout) = (1, 1, .milliseconds(100))
            }
        }
        let (one, other) = (try proxy.farSide(), try proxy.farSide())
        for far in [one, one, other, one] { #expect(try far.request().status == 200) }
    }

    @Test func aHeadOverTheLimitIsCounted() async throws {
        let proxy = try TestProxy { $0.limits.maxHeaderBytes = 2_048 }
        let far = try proxy.farSide()
        try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\nX: " + String(repeating: "x", count: 3_000))
        #expect(try far.answer().status == 431)
        #expect(try await count("mcp_tunnel_limit_hits_total", ["limit": "max_header_bytes"], of: proxy) == 1)
    }

    /// Its metric says that it was silent, and not that it closed a connection which we closed.
    @Test func aSilentUpstreamIsCountedAsSilent() async throws {
        let upstream = try Upstream { connection, _ in
            _ = connection.readRequest()
            _ = connection.readHead()
        }
        let proxy = try TestProxy(["a": upstream.port]) { $0.upstream.responseHeaderTimeout = .milliseconds(50) }
        #expect(try proxy.farSide().request().status == 504)
        #expect(proxy.finished().contains("end=timeout"))
        for (cause, expected) in [("response_timeout", 1 as UInt64), ("no_response", 0)] {
            let labels: KeyValuePairs = ["route": "a", "error_type": cause]
            #expect(try await count("mcp_tunnel_upstream_failures_total", labels, of: proxy) ?? 0 == expected)
        }
    }

    @Test func aBodyThatStopsIsATimeOut() throws {
        let upstream = try Upstream { connection, _ in while connection.readRequest() != nil {} }
        let proxy = try TestProxy(["a": upstream.port]) { $0.limits.bodyTimeout = .milliseconds(50) }
        let far = try proxy.farSide()
        try far.send("POST / HTTP/1.1\r\nHost: a.t.example\r\nContent-Length: 4\r\n\r\nx")
        let answer = try far.answer()
        #expect(answer.status == 408 && answer.isClosing)
        #expect(proxy.finished().contains("end=timeout"))
    }

    /// The client does not read; the upstream is stopped long before memory is.
    @Test func aDownloadIsHeldByItsClient() throws {
        let sent = Progress()
        let upstream = try Upstream { connection, _ in
            guard connection.readRequest() != nil else { return }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 64000000\r\n\r\n")
            let piece = [UInt8](repeating: 0x61, count: 100_000)
            for _ in 0..<640 {
                guard connection.peer.send(piece) else { return }
                sent.add(piece.count)
            }
        }
        let proxy = try TestProxy(["a": upstream.port])
        let far = try proxy.farSide()
        try far.send("GET / HTTP/1.1\r\nHost: a.t.example\r\n\r\n")
        #expect(sent.standstill() < 60_000_000)
        withExtendedLifetime(far) {}
    }
}
