extension ProxyConfiguration {
    /// The URL at which Claude reaches a route, such as `https://echo.abcd1234.tunnel.anthropic.com`; the path behind it is
    /// the MCP server's. `nil` for a key with dots that is not below the tunnel's domain: what it stands for is not known.
    public func publicURL(of route: Route) -> String? { publicHost(of: route).map { "https://\($0)" } }

    /// The host name in it.
    func publicHost(of route: Route) -> String? {
        guard let tunnelDomain else { return route.key }
        if route.key == tunnelDomain || route.key.hasSuffix("." + tunnelDomain) { return route.key }
        return route.key.contains(".") ? nil : "\(route.key).\(tunnelDomain)"
    }
}
