import TunnelCore

/// Checks `tunnels`: each for itself, that no name belongs to two of them, and that the fields of a single tunnel are not there
/// as well.
extension ConfigurationCheck {
    func hasSeveral(_ configuration: ProxyConfiguration) -> Bool {
        !configuration.tunnels.isEmpty || decoder.marks["tunnels"] != nil
    }

    mutating func checkTunnels(_ configuration: ProxyConfiguration) {
        checkMixture(configuration)
        if configuration.tunnels.isEmpty, decoder.diagnostics.allSatisfy({ !$0.field.hasPrefix("tunnels") }) {
            report("tunnels", "no tunnels", "add at least one, or write the fields of a single tunnel in its place")
        }
        let domains = Set(configuration.tunnels.map(\.domain))
        var seen: Set<String> = []
        for (tunnel, alone) in zip(configuration.tunnels, configuration.perTunnel) {
            let field = "tunnels.\(tunnel.domain)"
            checkDomain(tunnel.domain, field)
            if !seen.insert(tunnel.domain).inserted {
                report(field, "duplicate tunnel", "keep one of them; domains do not differ by case")
            }
            if let above = Self.above(tunnel.domain, among: domains) {
                report(
                    field, "lies below the domain of another tunnel, \(above)",
                    "a name belongs to one tunnel: write it as a route of that one, or remove one of the two")
            }
            checkRanges(of: tunnel, field, configuration.upstream)
            checkTunnel(alone)
        }
    }

    private static func above(_ domain: String, among domains: Set<String>) -> String? {
        var rest = domain[...]
        while let dot = rest.firstIndex(of: ".") {
            rest = rest[rest.index(after: dot)...]
            if domains.contains(String(rest)) { return String(rest) }
        }
        return nil
    }

    private mutating func checkRanges(
        of tunnel: ProxyConfiguration.Tunnel, _ field: String, _ upstream: ProxyConfiguration.Upstream
    ) {
        guard let ranges = tunnel.allowedIPs else { return }
        if ranges.isEmpty {
            report(
                "\(field).allowed_ips", "an empty list would refuse every upstream",
                "list the ranges of this tunnel's servers, or remove the field for those in upstream.allowed_ips")
        } else if upstream.disableIPValidation {
            report("\(field).allowed_ips", "has no effect beside disable_ip_validation: true", "remove one of the two")
        }
    }

    /// Fields of a single tunnel beside several: whose they would be nobody could tell.
    private mutating func checkMixture(_ configuration: ProxyConfiguration) {
        let tls = configuration.tls
        let isGiven: [String: Bool] = [
            "tunnel_domain": configuration.tunnelDomain != nil, "tls.cert_file": !tls.certFile.isEmpty,
            "tls.key_file": !tls.keyFile.isEmpty, "tls.ticket_keys_file": tls.ticketKeysFile != nil,
            "routes": !configuration.routes.isEmpty, "route_options": !configuration.routeOptions.isEmpty,
            "upstream.sse_keepalive_routes": !configuration.upstream.sseKeepAliveRoutes.isEmpty,
        ]
        for name in ProxyConfiguration.fieldsOfTunnel where isGiven[name] == true || decoder.marks[name] != nil {
            let remedy =
                switch name {
                case "tunnel_domain": "each tunnel's domain is its key in tunnels: remove this one"
                case "upstream.sse_keepalive_routes": "set sse_keepalive in the route_options of a tunnel"
                default: "move it below a domain in tunnels, or remove tunnels"
                }
            let field = name == "tunnel_domain" ? tunnelDomainField : name
            report(field, "has no place beside tunnels: it is of a single tunnel", remedy)
        }
    }
}
