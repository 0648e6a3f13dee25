import TunnelCore

/// Checks a tunnel's `routes` and `route_options`: each value, that the route is there, and that nothing is wider than what
/// holds for all.
extension ConfigurationCheck {
    mutating func checkRoutes(_ configuration: ProxyConfiguration) {
        let list = configuration.field("routes")
        if configuration.routes.isEmpty, decoder.diagnostics.allSatisfy({ !$0.field.hasPrefix(list) }) {
            report(list, "no routes", "add at least one 'name: scheme://host:port'")
        }
        let canVerify =
            configuration.upstream.tls.caFile != nil || configuration.upstream.tls.includeSystemCAs
            || decoder.hasFailed("upstream.tls.ca_file") || decoder.hasFailed("upstream.tls.include_system_cas")
        let hasDomain =
            configuration.tunnelDomain != nil || decoder.hasFailed("tunnel_domain")
        var seen: Set<String> = []
        for (index, route) in configuration.routes.enumerated() {
            let field = "\(list).\(decoder.written("\(list)[\(index)]", else: Diagnostic.excerpt(route.key)))"
            let mark = decoder.marks["\(list)[\(index)]"]
            // A bare key may be a number: the name that it stands for ends in the tunnel domain.
            if !AddressSyntax.isHostName(route.key), !AddressSyntax.isLabel(route.key) {
                decoder.report(
                    "not a host name", remedy: "use letters, digits, hyphens and dots: a subdomain or a full host name",
                    field: field, at: mark)
            } else if !seen.insert(route.key).inserted {
                decoder.report(
                    "duplicate route", remedy: "keep one of them; host names do not differ by case", field: field,
                    at: mark)
            } else if !route.key.contains("."), !hasDomain {
                decoder.report(
                    "a bare subdomain needs the tunnel domain",
                    remedy: "set tunnel_domain or -tunnel-domain, or write the full host name", field: field, at: mark)
            } else if !configuration.places.prefix.isEmpty, let domain = configuration.tunnelDomain,
                route.key.contains("."), !route.key.hasSuffix(".\(domain)"), route.key != domain
            {
                decoder.report(
                    "not a name of this tunnel",
                    remedy:
                        "write the label that stands before .\(domain), or move it to the tunnel that it belongs to",
                    field: field, at: mark)
            }
            if let path = route.upstream.socketPath {
                let own = [configuration.listenAddress, configuration.adminAddress]
                if own.contains(.unix(path: path)) {
                    decoder.report(
                        "the proxy listens there itself", remedy: "lead the route to an MCP server", field: field,
                        at: mark)
                }
            }
            let ownCA = configuration.routeOptions[route.key]?.tls.caFile != nil
            if route.upstream.scheme == .https, !canVerify, !ownCA {
                decoder.report(
                    "an https upstream needs certificates to trust",
                    remedy: "set upstream.tls.ca_file, or upstream.tls.include_system_cas: true", field: field,
                    at: mark)
            }
        }
    }

    mutating func checkRouteOptions(_ configuration: ProxyConfiguration) {
        let keys = configuration.routes.map(\.key)
        for (key, options) in configuration.routeOptions.sorted(by: { $0.key < $1.key }) {
            let field = configuration.field("route_options.\(key)")
            guard let route = configuration.routes.first(where: { $0.key == key }) else {
                if decoder.hasFailed(configuration.field("routes")) { continue }
                let remedy = nearestName(to: key, among: keys).map { "did you mean \($0)?" } ?? "write it as in routes"
                report(field, "no such route", remedy)
                continue
            }
            if let timeout = options.connectTimeout {
                range("\(field).connect_timeout", timeout, from: .milliseconds(1))
            }
            if let timeout = options.responseHeaderTimeout {
                range("\(field).response_header_timeout", timeout, from: .zero)
            }
            if let interval = options.sseKeepAlive {
                keepAlive("\(field).sse_keepalive", interval)
                if configuration.upstream.sseKeepAliveRoutes[key] != nil {
                    report("\(field).sse_keepalive", "upstream.sse_keepalive_routes has it too", "keep one of the two")
                }
            }
            checkLimits(field, options)
            checkRanges(field, options, route, configuration)
            checkTLS(field, options.tls, route)
            checkHeaders(field, options.setHeaders)
            checkLists(field, options)
        }
    }

    /// - Parameter section: with its dot.
    mutating func rate(_ section: String, _ rate: Double, burst: Int) {
        if rate != 0, !(0.001...1_000_000).contains(rate) {
            let written = decoder.written("\(section)rate", else: "\(rate)")
            report("\(section)rate", "\(written) is out of range", "use 0 for any number, or 0.001 to 1000000")
        }
        range("\(section)burst", burst, 0...1_000_000)
        if burst > 0, rate == 0, !decoder.hasFailed("\(section)rate") {
            report("\(section)burst", "has no effect without rate", "set rate, or remove it")
        }
    }

    private mutating func checkLimits(_ field: String, _ options: RouteOptions) {
        range("\(field).max_requests", options.maxRequests, 0...1_000_000)
        range("\(field).max_queued", options.maxQueued, 0...100_000)
        if options.maxQueued > 0, options.maxRequests == 0, !decoder.hasFailed("\(field).max_requests") {
            report("\(field).max_queued", "has no effect without max_requests", "set max_requests, or remove it")
        }
        rate("\(field).", options.rate, burst: options.burst)
    }

    private mutating func checkRanges(
        _ field: String, _ options: RouteOptions, _ route: Route, _ configuration: ProxyConfiguration
    ) {
        let (upstream, wider) = (configuration.upstream, configuration.field("upstream.allowed_ips"))
        guard let ranges = options.allowedIPs else { return }
        let list = "\(field).allowed_ips"
        if ranges.isEmpty {
            return report(list, "an empty list would refuse every address", "list ranges, or remove the field")
        }
        if route.upstream.socketPath != nil {
            return report(list, "the upstream is a socket, which has no address", "remove it")
        }
        guard !upstream.disableIPValidation, !decoder.hasFailed(wider) else { return }
        for (index, range) in ranges.enumerated() where !upstream.allowedIPs.contains(where: { $0.holds(range) }) {
            report(
                "\(list)[\(index)]", "\(range) is not within \(wider)",
                "a route's list can only be narrower: allow it there too, or remove it")
        }
    }

    private mutating func checkTLS(_ field: String, _ tls: RouteOptions.TLS, _ route: Route) {
        guard tls != RouteOptions.TLS() else { return }
        if route.upstream.scheme != .https {
            return report("\(field).tls", "the route is not https", "write https:// in routes, or remove it")
        }
        switch (tls.clientCertFile, tls.clientKeyFile) {
        case (.some, nil):
            report("\(field).tls.client_cert_file", "needs its key", "set client_key_file, too")
        case (nil, .some):
            report("\(field).tls.client_key_file", "needs its certificate", "set client_cert_file, too")
        default: break
        }
        if let name = tls.serverName, !AddressSyntax.isHostName(name), IPAddress(name) == nil {
            report(
                "\(field).tls.server_name", "not a host name or address \"\(Diagnostic.excerpt(name))\"",
                "write the name that the server's certificate has")
        }
        for (index, pin) in tls.pins.enumerated() where PublicKeyPin(pin) == nil {
            report(
                "\(field).tls.pins[\(index)]", "not a pin \"\(Diagnostic.excerpt(pin))\"",
                "write sha256// and the base64 of the SHA-256 of the public key, as for curl --pinnedpubkey")
        }
    }

    /// Fields that say where a message ends or go with a connection are the proxy's own business.
    private static let reserved: Set<String> = [
        "connection", "content-length", "expect", "forwarded", "host", "http2-settings", "keep-alive", "proxy",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "x-forwarded-for", "x-forwarded-host",
        "x-forwarded-proto",
    ]

    private mutating func checkHeaders(_ field: String, _ headers: [RouteOptions.HeaderFile]) {
        for header in headers {
            let place = "\(field).set_headers.\(Diagnostic.excerpt(header.name))"
            let name = header.name.lowercased()
            if !HTTPToken.isToken(header.name) {
                report(place, "not a field name", "use letters, digits and hyphens")
            } else if Self.reserved.contains(name) || name.hasPrefix("sec-websocket-") {
                report(place, "the proxy writes this field itself", "remove it")
            }
            if header.file.isEmpty, !decoder.hasFailed(place) {
                report("\(place).file", "empty path", "name the file that holds the value")
            }
            if !header.prefix.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) {
                report("\(place).prefix", "not fit for a field", "use printable characters of ASCII")
            }
        }
    }

    private mutating func checkLists(_ field: String, _ options: RouteOptions) {
        for (index, method) in options.methods.enumerated()
        where !HTTPToken.isToken(method) || method != method.uppercased() {
            report(
                "\(field).methods[\(index)]", "not a method \"\(Diagnostic.excerpt(method))\"",
                "write it as HTTP does, such as GET or POST")
        }
        for (index, path) in options.paths.enumerated() where RoutePath(path) == nil {
            report(
                "\(field).paths[\(index)]", "not a path \"\(Diagnostic.excerpt(path))\"",
                "write a whole path such as /mcp, or a beginning such as /mcp/*, without dots, queries and spaces")
        }
    }
}

extension IPPrefix {
    /// Whether every address of `other` is in this one.
    fileprivate func holds(_ other: IPPrefix) -> Bool {
        network.bitWidth == other.network.bitWidth && length <= other.length && contains(other.network)
    }
}
