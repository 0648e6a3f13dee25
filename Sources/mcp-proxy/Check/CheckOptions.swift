/// What a check is to look at.
struct CheckOptions: Sendable {
    /// The configuration file.
    let configuration: String
    var tunnelDomain: String?
    /// The file of the CA that is registered on the tunnel.
    var ca: String?
    /// Where MCP servers are; `nil` for looking at the usual places.
    var path: String?
    /// For each step; a route has four of them in all.
    var timeout = Duration.seconds(5)
    /// Whether Cloudflare's edge is looked at.
    var edge = false

    init(configuration: String, tunnelDomain: String? = nil) {
        (self.configuration, self.tunnelDomain) = (configuration, tunnelDomain)
    }

    /// In the order in which they are tried: where most servers are, where some are, and where those of 2024 were.
    var paths: [String] { path.map { [$0] } ?? ["/mcp", "/", "/sse"] }
}
