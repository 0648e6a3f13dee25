public import TunnelCore

extension ProxyConfiguration {
    /// One of several tunnels: what it has for itself. Everything else of a configuration holds for all of them.
    public struct Tunnel: Sendable, Equatable {
        /// In lower case. It and every name below it are the tunnel's, and no other one's.
        public let domain: String
        /// PEM files, read again whenever their content changes.
        public var certFile: String
        public var keyFile: String
        /// Keys for session tickets that are shared with other proxies of this tunnel; see ``TLS/ticketKeysFile``.
        public var ticketKeysFile: String?
        /// Keys are labels, or full names below ``domain``.
        public var routes: [Route]
        public var routeOptions: [String: RouteOptions] = [:]
        /// The addresses that may be dialled for this tunnel, in place of ``Upstream/allowedIPs``; `nil` for those.
        public var allowedIPs: [IPPrefix]?

        public init(domain: String, certFile: String, keyFile: String, routes: [Route]) {
            self.domain = domain.lowercased()
            (self.certFile, self.keyFile, self.routes) = (certFile, keyFile, routes)
        }
    }

    /// What is a tunnel's own: these fields are the single one's, and have no place beside `tunnels`.
    static let fieldsOfTunnel = [
        "tunnel_domain", "tls.cert_file", "tls.key_file", "tls.ticket_keys_file", "routes", "route_options",
        "upstream.sse_keepalive_routes",
    ]

    /// Each tunnel as it would be configured if it were the only one; the configuration itself where it is.
    ///
    /// What is done for a tunnel takes one of these, so the same code serves both forms. Errors about it name the fields where
    /// they stand.
    package var perTunnel: [ProxyConfiguration] {
        tunnels.isEmpty ? [self] : tunnels.map { alone($0) }
    }

    private func alone(_ tunnel: Tunnel) -> ProxyConfiguration {
        var own = self
        own.tunnels = []
        own.tunnelDomain = tunnel.domain
        own.tls.certFile = tunnel.certFile
        own.tls.keyFile = tunnel.keyFile
        own.tls.ticketKeysFile = tunnel.ticketKeysFile
        (own.routes, own.routeOptions) = (tunnel.routes, tunnel.routeOptions)
        own.upstream.allowedIPs = tunnel.allowedIPs ?? upstream.allowedIPs
        own.upstream.sseKeepAliveRoutes = [:]
        own.places.prefix = "tunnels.\(tunnel.domain)."
        own.places.hasOwnRanges = tunnel.allowedIPs != nil
        return own
    }
}

extension ProxyConfiguration.Tunnel {
    /// Every field below a tunnel's domain, in the order of the reference page.
    package static var fields: [ConfigurationField<ProxyConfiguration.Tunnel>] {
        [
            ConfigurationField("tls.cert_file", \.certFile, isRequired: true),
            ConfigurationField("tls.key_file", \.keyFile, isRequired: true),
            ConfigurationField("tls.ticket_keys_file", \.ticketKeysFile),
            ConfigurationField("routes", \.routeList, isRequired: true),
            ConfigurationField("route_options", \.routeOptionsMap),
            ConfigurationField("allowed_ips", \.ownRanges),
        ]
    }

    /// Gives each of the files that it names another path.
    mutating func mapFiles(_ transform: (_ field: String, String) -> String) {
        certFile = transform("tls.cert_file", certFile)
        keyFile = transform("tls.key_file", keyFile)
        ticketKeysFile = ticketKeysFile.map { transform("tls.ticket_keys_file", $0) }
        for key in routeOptions.keys.sorted() {
            routeOptions[key]?.mapFiles { transform("route_options.\(key).\($0)", $1) }
        }
    }

    fileprivate var routeList: RouteList {
        get { RouteList(routes: routes) }
        set { routes = newValue.routes }
    }
    fileprivate var routeOptionsMap: RouteOptionsMap {
        get { RouteOptionsMap(byRoute: routeOptions) }
        set { routeOptions = newValue.byRoute }
    }
    fileprivate var ownRanges: Own<RangeList> {
        get { Own(value: allowedIPs.map { RangeList(ranges: $0) }) }
        set { allowedIPs = newValue.value?.ranges }
    }
}

/// `tunnels` as a field: from a tunnel's domain to what it has for itself.
struct TunnelMap: ConfigurationValue {
    static var typeName: String { "map[string]tunnel" }

    var tunnels: [ProxyConfiguration.Tunnel]

    static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> TunnelMap? {
        guard case .mapping(let entries) = node.content else {
            return decoder.mismatch(
                node, TunnelMap.self, field: field,
                remedy: "write one tunnel's domain and ':' a line, with its certificate and routes below it")
        }
        var tunnels: [ProxyConfiguration.Tunnel] = []
        for entry in entries {
            guard let key = entry.key.text else { continue }
            // From here on it is fit for messages and paths.
            guard AddressSyntax.isHostName(key) else {
                decoder.report(
                    "not a domain name", remedy: "write it as the Console shows it, without '*.' and dot at the end",
                    field: "\(field).\(Diagnostic.excerpt(key))", at: entry.key.mark)
                continue
            }
            let path = "\(field).\(key.lowercased())"
            if tunnels.contains(where: { $0.domain == key.lowercased() }) {
                decoder.report(
                    "duplicate tunnel", remedy: "keep one of them; domains do not differ by case", field: path,
                    at: entry.key.mark)
                continue
            }
            var tunnel = ProxyConfiguration.Tunnel(domain: key, certFile: "", keyFile: "", routes: [])
            decoder.decode(entry.value, at: path, ProxyConfiguration.Tunnel.fields, into: &tunnel)
            decoder.marks[path] = entry.key.mark
            decoder.texts[path] = key
            tunnels.append(tunnel)
        }
        return TunnelMap(tunnels: tunnels)
    }

    var shown: String { tunnels.isEmpty ? "none" : "\(tunnels.count) tunnels" }
}
