// docs/embedding.md
import Metrics
import TunnelProxy

/// Records what the proxy is doing until it has stopped.
func record(_ server: ProxyServer, every interval: Duration) async throws {
    let requests = Gauge(label: "mcp_proxy_requests_in_flight"), connections = Gauge(label: "mcp_proxy_connections")
    while server.state != .stopped {
        requests.record(server.requestsInFlight)
        connections.record(server.connections)
        try await Task.sleep(for: interval)
    }
}
// docs/embedding.md
