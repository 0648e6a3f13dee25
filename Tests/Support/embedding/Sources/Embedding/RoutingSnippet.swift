// docs/embedding.md
import TunnelCore

/// The upstream for a `Host`, as the proxy finds it: whole name first, then what stands before the tunnel domain.
func upstream(for host: String) throws -> String? {
    let upstreams = ["http://10.0.0.7:9000", "https://sso.example.com:8443"]
    let table = try RouteTable(
        routes: [(host: "echo", value: 0), (host: "login.example.com", value: 1)], tunnelDomain: "t.example")
    return table.lookup(host).map { upstreams[$0] }
}

/// Whether the proxy may dial an address, and by which rule.
func mayDial(_ address: String, port: UInt16, allowed: [String]) throws -> String? {
    let policy = UpstreamPolicy(allowed: try allowed.map { try IPPrefix($0) })
    return IPAddress(address).map { policy.verdict($0, port: port).name }
}
// docs/embedding.md
