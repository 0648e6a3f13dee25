package import TunnelCore

extension ProxyConfiguration {
    /// Every field of the file in the order of the reference page. Decoding knows no others.
    package static var fields: [ConfigurationField<ProxyConfiguration>] {
        [
            ConfigurationField("listen_addr", \.listenAddress, isRequired: true, needsRestart: true),
            ConfigurationField("listen_mode", \.listenFileMode, needsRestart: true),
            ConfigurationField("listen_group", \.listenGroup, needsRestart: true),
            ConfigurationField("log_level", \.logLevel),
            ConfigurationField("log_format", \.logFormat, needsRestart: true),
            ConfigurationField("log_mcp", \.logMCP),
            ConfigurationField("admin_addr", \.adminListener, needsRestart: true),
            ConfigurationField("admin_hosts", \.adminHosts, needsRestart: true),
            ConfigurationField("shutdown_delay", \.shutdownDelay),
            ConfigurationField("shutdown_timeout", \.shutdownTimeout),
            ConfigurationField("tunnel_domain", \.tunnelDomain),
            ConfigurationField("threads", \.threads, needsRestart: true),
            ConfigurationField("config_watch", \.configWatch),
            ConfigurationField("cloudflared_metrics", \.metricsAddress),
            ConfigurationField("sandbox", \.sandbox, needsRestart: true),
            ConfigurationField("sandbox_ports", \.sandboxPorts, needsRestart: true),

            ConfigurationField("tls.cert_file", \.tls.certFile, isRequired: true),
            ConfigurationField("tls.key_file", \.tls.keyFile, isRequired: true),
            ConfigurationField("tls.reload_interval", \.tls.reloadInterval, needsRestart: true),
            ConfigurationField("tls.handshake_timeout", \.tls.handshakeTimeout, needsRestart: true),
            ConfigurationField("tls.min_version", \.tls.minVersion, needsRestart: true),
            ConfigurationField("tls.alpn", \.protocols, needsRestart: true),
            ConfigurationField("tls.session_tickets", \.tls.sessionTickets, needsRestart: true),
            ConfigurationField("tls.ticket_keys_file", \.tls.ticketKeysFile),

            ConfigurationField("routes", \.routeList, isRequired: true),
            ConfigurationField("route_options", \.routeOptionsMap),
            ConfigurationField("tunnels", \.tunnelMap),

            ConfigurationField("upstream.allowed_ips", \.allowedRanges),
            ConfigurationField("upstream.disable_ip_validation", \.upstream.disableIPValidation),
            ConfigurationField("upstream.tls.ca_file", \.upstream.tls.caFile),
            ConfigurationField("upstream.tls.include_system_cas", \.upstream.tls.includeSystemCAs),
            ConfigurationField("upstream.host_header", \.upstream.hostHeader),
            ConfigurationField("upstream.forwarded_headers", \.upstream.forwardedHeaders),
            ConfigurationField("upstream.connect_timeout", \.upstream.connectTimeout),
            ConfigurationField("upstream.response_header_timeout", \.upstream.responseHeaderTimeout),
            ConfigurationField("upstream.dns_timeout", \.upstream.dnsTimeout),
            ConfigurationField("upstream.dns_ttl", \.upstream.dnsTTL),
            ConfigurationField("upstream.idle_timeout", \.upstream.idleTimeout),
            ConfigurationField("upstream.max_idle_per_route", \.upstream.maxIdlePerRoute),
            ConfigurationField("upstream.http2", \.upstream.http2),
            ConfigurationField("upstream.sse_keepalive", \.upstream.sseKeepAlive),
            ConfigurationField("upstream.sse_keepalive_routes", \.routeKeepAlives),

            ConfigurationField("websocket.ping_interval", \.webSocket.pingInterval),
            ConfigurationField("websocket.idle_timeout", \.webSocket.idleTimeout),
            ConfigurationField("websocket.compression", \.webSocket.compression),
            ConfigurationField("websocket.subprotocol", \.webSocket.subprotocol),
            ConfigurationField("websocket.max_frame_size", \.webSocket.maxFrameSize),

            ConfigurationField("limits.max_header_bytes", \.limits.maxHeaderBytes),
            ConfigurationField("limits.max_headers", \.limits.maxHeaders),
            ConfigurationField("limits.header_timeout", \.limits.headerTimeout),
            ConfigurationField("limits.keep_alive_timeout", \.limits.keepAliveTimeout),
            ConfigurationField("limits.body_timeout", \.limits.bodyTimeout),
            ConfigurationField("limits.send_timeout", \.limits.sendTimeout),
            ConfigurationField("limits.max_requests_per_connection", \.limits.maxRequestsPerConnection),
            ConfigurationField("limits.max_requests", \.limits.maxRequests),
            ConfigurationField("limits.max_queued", \.limits.maxQueued),
            ConfigurationField("limits.queue_timeout", \.limits.queueTimeout),
            ConfigurationField("limits.rate", \.requestRate),
            ConfigurationField("limits.burst", \.limits.burst),
            ConfigurationField("limits.max_connections", \.limits.maxConnections),
            ConfigurationField("limits.max_pending_connections", \.limits.maxPendingConnections),
            ConfigurationField("limits.buffer_size", \.limits.bufferSize),

            ConfigurationField("http2.stream_window", \.http2.streamWindow),
            ConfigurationField("http2.connection_window", \.http2.connectionWindow),
            ConfigurationField("http2.max_frame_size", \.http2.maxFrameSize),
            ConfigurationField("http2.header_table_size", \.http2.headerTableSize),
            ConfigurationField("http2.settings_timeout", \.http2.settingsTimeout),
            ConfigurationField("http2.window_timeout", \.http2.windowTimeout),
            ConfigurationField("http2.max_resets", \.http2.maxResets),
            ConfigurationField("http2.max_settings", \.http2.maxSettings),
            ConfigurationField("http2.max_pings", \.http2.maxPings),
            ConfigurationField("http2.max_priority_updates", \.http2.maxPriorityUpdates),
            ConfigurationField("http2.max_window_updates", \.http2.maxWindowUpdates),
            ConfigurationField("http2.max_empty_frames", \.http2.maxEmptyFrames),
            ConfigurationField("http2.max_tiny_frames", \.http2.maxTinyFrames),

            ConfigurationField("metrics.mcp_names", \.metrics.mcpNames),
            ConfigurationField("trace.enabled", \.trace.enabled, needsRestart: true),
            ConfigurationField("trace.sample_ratio", \.sampleRatio),
            ConfigurationField("trace.request_id", \.trace.requestID),
        ]
    }

    /// The defaults as the reference page shows them.
    package static var defaults: ProxyConfiguration { ProxyConfiguration(blank: ()) }

    // Fields in the types that read them from a file.
    fileprivate var listenFileMode: FileMode {
        get { FileMode(bits: listenMode) }
        set { listenMode = newValue.bits }
    }
    fileprivate var adminListener: OptionalListener {
        get { OptionalListener(address: adminAddress) }
        set { adminAddress = newValue.address }
    }
    fileprivate var routeList: RouteList {
        get { RouteList(routes: routes) }
        set { routes = newValue.routes }
    }
    fileprivate var routeOptionsMap: RouteOptionsMap {
        get { RouteOptionsMap(byRoute: routeOptions) }
        set { routeOptions = newValue.byRoute }
    }
    fileprivate var tunnelMap: TunnelMap {
        get { TunnelMap(tunnels: tunnels) }
        set { tunnels = newValue.tunnels }
    }
    fileprivate var requestRate: RequestRate {
        get { RequestRate(value: limits.rate) }
        set { limits.rate = newValue.value }
    }
    fileprivate var metricsAddress: MetricsAddress {
        get { MetricsAddress(address: cloudflaredMetrics) }
        set { cloudflaredMetrics = newValue.address }
    }
    fileprivate var routeKeepAlives: RouteDurations {
        get { RouteDurations(byRoute: upstream.sseKeepAliveRoutes) }
        set { upstream.sseKeepAliveRoutes = newValue.byRoute }
    }
    fileprivate var sampleRatio: SampleRatio {
        get { SampleRatio(value: trace.sampleRatio) }
        set { trace.sampleRatio = newValue.value }
    }
    fileprivate var protocols: ProtocolList {
        get { ProtocolList(protocols: tls.alpn) }
        set { tls.alpn = newValue.protocols }
    }
    fileprivate var allowedRanges: RangeList {
        get { RangeList(ranges: upstream.allowedIPs) }
        set { upstream.allowedIPs = newValue.ranges }
    }

    /// What a running proxy with this configuration becomes when it takes `next`: fields that need a restart keep their
    /// value.
    ///
    /// - Returns: the configuration to go on with, and the names of the fields whose new value was left out.
    public func reloading(_ next: ProxyConfiguration) -> (configuration: ProxyConfiguration, kept: [String]) {
        var result = next
        var kept: [String] = []
        for field in Self.fields where field.needsRestart {
            if field.copy(self, &result) { kept.append(field.name) }
        }
        return (result, kept)
    }
}

extension LogLevel: ConfigurationValue {}
extension LogFormat: ConfigurationValue {}
extension ProxyConfiguration.TLS.Version: ConfigurationValue {}
extension ProxyConfiguration.Upstream.HostHeader: ConfigurationValue {}

extension ProxyConfiguration.Upstream.HTTP2Offer: ConfigurationValue {}
extension ProxyConfiguration.SandboxPorts: ConfigurationValue {}

extension ProxyConfiguration.Sandbox: ConfigurationValue {
    /// `false` is what a reader of YAML 1.1, such as Helm's, makes of a bare `off`.
    package static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> Self? {
        node.text?.lowercased() == "false" ? .off : readName(node, field: field, &decoder)
    }
}

extension ProxyConfiguration.Upstream.ForwardedHeaders: ConfigurationValue {
    /// `true` and `false` are what 0.1 knew: all of them, or none.
    package static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> Self? {
        switch node.text?.lowercased() {
        case "true": .full
        case "false": .off
        case let text?: Self(rawValue: text) ?? readName(node, field: field, &decoder)
        case nil: readName(node, field: field, &decoder)
        }
    }
}

/// `allowed_ips` as a field.
struct RangeList: ConfigurationValue {
    static var typeName: String { [String].typeName }

    var ranges: [IPPrefix]

    static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> RangeList? {
        guard let texts = [String].read(node, field: field, &decoder) else { return nil }
        var ranges: [IPPrefix] = []
        for (index, text) in texts.enumerated() {
            do throws(AddressError) { ranges.append(try IPPrefix(text)) } catch {
                let path = "\(field)[\(index)]"
                decoder.report(error.reason, remedy: error.remedy, field: path, at: decoder.marks[path])
            }
        }
        return ranges.count == texts.count ? RangeList(ranges: ranges) : nil
    }

    var shown: String { ranges.map(\.description).shown }
}

/// `tls.alpn` as a field.
private struct ProtocolList: ConfigurationValue {
    static var typeName: String { [String].typeName }

    var protocols: [ApplicationProtocol]

    static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> ProtocolList? {
        guard let texts = [String].read(node, field: field, &decoder) else { return nil }
        var protocols: [ApplicationProtocol] = []
        for (index, text) in texts.enumerated() {
            let path = "\(field)[\(index)]"
            if let known = ApplicationProtocol(rawValue: text), !protocols.contains(known) {
                protocols.append(known)
            } else {
                let isKnown = ApplicationProtocol(rawValue: text) != nil
                decoder.report(
                    "\(isKnown ? "named twice" : "unknown protocol"): \"\(Diagnostic.excerpt(text))\"",
                    remedy: "write [h2, http/1.1], or one of them", field: path, at: decoder.marks[path])
            }
        }
        return protocols.count == texts.count ? ProtocolList(protocols: protocols) : nil
    }

    var shown: String { protocols.map(\.rawValue).shown }
}

/// `cloudflared_metrics` as a field: an address of the form of an upstream's, without TLS, which cloudflared has not.
private struct MetricsAddress: ConfigurationValue {
    static var typeName: String { "string" }

    var address: UpstreamAddress?

    static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> MetricsAddress? {
        guard let text = String.read(node, field: field, &decoder) else { return nil }
        if text.isEmpty { return MetricsAddress() }
        let address = try? UpstreamAddress(text)
        guard let address, address.scheme == .http, address.socketPath == nil else {
            decoder.report(
                "invalid address \"\(Diagnostic.excerpt(withoutCredentials(text)))\"",
                remedy:
                    "write it as cloudflared has it in --metrics, with http:// before it, such as http://127.0.0.1:2000",
                field: field, at: node.mark)
            return nil
        }
        return MetricsAddress(address: address)
    }

    var shown: String { address?.description ?? "none" }
}

/// A duration for some of the routes. Whether the routes are there is checked with the whole.
private struct RouteDurations: ConfigurationValue {
    static var typeName: String { "map[string]duration" }

    var byRoute: [String: Duration]

    static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> RouteDurations? {
        guard case .mapping(let entries) = node.content else {
            return decoder.mismatch(
                node, RouteDurations.self, field: field, remedy: "write one 'route: 15s' a line, without dashes")
        }
        var byRoute: [String: Duration] = [:]
        for entry in entries {
            guard let key = entry.key.text else { continue }
            let path = "\(field).\(key.lowercased())"
            decoder.marks[path] = entry.key.mark
            decoder.texts[path] = entry.value.text
            guard let value = Duration.read(entry.value, field: path, &decoder) else { continue }
            if byRoute.updateValue(value, forKey: key.lowercased()) != nil {
                decoder.report(
                    "duplicate route", remedy: "keep one of them; host names do not differ by case", field: path,
                    at: entry.key.mark)
            }
        }
        return RouteDurations(byRoute: byRoute)
    }

    var shown: String { byRoute.isEmpty ? "none" : "\(byRoute.count) routes" }
}

/// `trace.sample_ratio` as a field.
private struct SampleRatio: ConfigurationValue {
    static var typeName: String { "number" }

    var value: Double?

    static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> SampleRatio? {
        let remedy = "write 0 to 1, such as 0.01 for one in a hundred"
        guard let text = node.text else {
            return decoder.mismatch(node, SampleRatio.self, field: field, remedy: remedy)
        }
        guard let value = Sampler.ratio(text) else {
            decoder.report(
                "not a ratio \"\(Diagnostic.excerpt(text))\"", remedy: remedy, field: field, at: node.mark)
            return nil
        }
        return SampleRatio(value: value)
    }

    var shown: String { value.map { "\($0)" } ?? "none" }
}

/// Permission bits, written as chmod(1) takes them.
private struct FileMode: ConfigurationValue {
    static var typeName: String { "octal" }
    static var kindName: String { "string" }

    var bits: Int

    /// With quotes or without: what YAML takes for a decimal number is a mode too.
    static func read(_ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder) -> FileMode? {
        let remedy = "write it as for chmod(1), such as 0660"
        guard let text = node.text else { return decoder.mismatch(node, FileMode.self, field: field, remedy: remedy) }
        let digits = text.hasPrefix("0o") ? text.dropFirst(2) : text[...]
        guard (3...4).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x37).contains($0) }),
            let bits = Int(digits, radix: 8)
        else {
            decoder.report(
                "not a file mode \"\(Diagnostic.excerpt(text))\"", remedy: remedy, field: field, at: node.mark)
            return nil
        }
        return FileMode(bits: bits)
    }

    var shown: String {
        let octal = String(bits, radix: 8)
        return String(repeating: "0", count: max(0, 4 - octal.utf8.count)) + octal
    }
}

/// A listener that there may not be; an empty text is none.
private struct OptionalListener: ConfigurationValue {
    static var typeName: String { "string" }

    var address: ListenAddress?

    static func read(
        _ node: YAMLNode, field: String, _ decoder: inout ConfigurationDecoder
    ) -> OptionalListener? {
        if node.text == "" { return OptionalListener(address: nil) }
        return ListenAddress.read(node, field: field, &decoder).map { OptionalListener(address: $0) }
    }

    var shown: String { address.map(\.description) ?? "none" }
}
