import TunnelCore

/// Checks a whole configuration: each value's range, and how the values fit together. Files and code go through it
/// alike; a file adds the places to the messages.
struct ConfigurationCheck {
    var decoder: ConfigurationDecoder
    /// The field that a tunnel domain given on the command line is reported as.
    let tunnelDomainField: String

    /// Continues with what `decoder` has found: fields that it refused are not judged again.
    init(decoder: ConfigurationDecoder, tunnelDomainField: String = "tunnel_domain") {
        self.decoder = decoder
        self.tunnelDomainField = tunnelDomainField
    }

    var diagnostics: [Diagnostic] { decoder.diagnostics }

    /// A year: longer is a mistake, and a timer adds this to the time without a second thought.
    static let longest = Duration.seconds(8760 * 3600)

    mutating func run(_ configuration: ProxyConfiguration) {
        checkGeneral(configuration)
        checkUpstream(configuration.upstream)
        if hasSeveral(configuration) { checkTunnels(configuration) } else { checkTunnel(configuration) }
        checkKeepAlive(configuration)
        checkWebSocket(configuration.webSocket)
        checkLimits(configuration.limits)
        checkHTTP2(configuration.http2)
        if configuration.tls.alpn.isEmpty {
            report("tls.alpn", "no protocol", "write [h2, http/1.1], or one of them")
        }
        if let ratio = configuration.trace.sampleRatio, !(0...1).contains(ratio) {
            report("trace.sample_ratio", "\(ratio) is out of range", "use 0 to 1")
        }
    }

    private mutating func checkGeneral(_ configuration: ProxyConfiguration) {
        if case .unix(let path) = configuration.listenAddress, !ListenAddress.isSocketPath(path) {
            report("listen_addr", "invalid listen address", "use an absolute path of up to 107 bytes")
        }
        if !(0...0o777).contains(configuration.listenMode) {
            report("listen_mode", "out of range", "use 0000 to 0777, such as 0660")
        }
        if let admin = configuration.adminAddress, !admin.isOther(than: configuration.listenAddress) {
            report("admin_addr", "is listen_addr", "give it a port or a socket of its own, such as 127.0.0.1:8081")
        }
        for (index, name) in configuration.adminHosts.enumerated() where !AddressSyntax.isHostName(name) {
            report(
                "admin_hosts[\(index)]", "not a host name \"\(Diagnostic.excerpt(name))\"", "write it without a port")
        }
        range("shutdown_delay", configuration.shutdownDelay, from: .zero)
        range("shutdown_timeout", configuration.shutdownTimeout, from: .zero)
        range("threads", configuration.threads, 0...256)
        range("tls.reload_interval", configuration.tls.reloadInterval, from: .milliseconds(10))
        range("tls.handshake_timeout", configuration.tls.handshakeTimeout, from: .milliseconds(1))
    }

    /// What a tunnel has for itself.
    mutating func checkTunnel(_ configuration: ProxyConfiguration) {
        checkIdentity(configuration)
        checkRoutes(configuration)
        checkRouteOptions(configuration)
    }

    private mutating func checkIdentity(_ configuration: ProxyConfiguration) {
        required(configuration.field("tls.cert_file"), configuration.tls.certFile)
        required(configuration.field("tls.key_file"), configuration.tls.keyFile)
        if let file = configuration.tls.ticketKeysFile {
            let field = configuration.field("tls.ticket_keys_file")
            if file.isEmpty { report(field, "empty path", "name a file, or leave the field out") }
            if !configuration.tls.sessionTickets {
                report(field, "has no effect beside session_tickets: false", "remove one of the two")
            }
        }
        // Of several tunnels it is a key, and looked at with the others.
        guard configuration.places.prefix.isEmpty else { return }
        checkDomain(configuration.tunnelDomain, tunnelDomainField)
    }

    mutating func checkDomain(_ domain: String?, _ field: String) {
        if let domain, !AddressSyntax.isHostName(domain) || !domain.contains(".") {
            let written = decoder.written(field, else: Diagnostic.excerpt(domain))
            let isVariable = Diagnostic.variable(in: written) != nil
            report(
                field,
                isVariable ? "variables are not expanded: \"\(written)\"" : "not a domain name \"\(written)\"",
                isVariable
                    ? Diagnostic.variableRemedy
                    : "write it as the Console shows it, such as abcd1234.tunnel.anthropic.com, without '*.' and dot at"
                        + " the end")
        }
    }

    private mutating func checkUpstream(_ upstream: ProxyConfiguration.Upstream) {
        let isGiven =
            decoder.marks["upstream.allowed_ips"] != nil
            || upstream.allowedIPs != ProxyConfiguration.Upstream.privateRanges
        if upstream.disableIPValidation, isGiven {
            report(
                "upstream.allowed_ips", "has no effect beside disable_ip_validation: true",
                "remove one of the two")
        } else if upstream.allowedIPs.isEmpty {
            report(
                "upstream.allowed_ips", "an empty list would refuse every upstream",
                "list the ranges of your servers, or remove the field for the private ones")
        }
        if upstream.tls.caFile?.isEmpty == true {
            report("upstream.tls.ca_file", "empty path", "name a file, or leave the field out")
        }
        range("upstream.connect_timeout", upstream.connectTimeout, from: .milliseconds(1))
        range("upstream.response_header_timeout", upstream.responseHeaderTimeout, from: .zero)
        range("upstream.dns_timeout", upstream.dnsTimeout, from: .milliseconds(1))
        range("upstream.dns_ttl", upstream.dnsTTL, from: .zero)
        range("upstream.idle_timeout", upstream.idleTimeout, from: .milliseconds(1))
        range("upstream.max_idle_per_route", upstream.maxIdlePerRoute, 0...65_536)
    }

    /// Nothing on the way of a stream gives up on it within a second, and each comment costs a record and a frame.
    private mutating func checkKeepAlive(_ configuration: ProxyConfiguration) {
        let upstream = configuration.upstream
        keepAlive("upstream.sse_keepalive", upstream.sseKeepAlive)
        let routes = configuration.routes.map(\.key)
        for (route, interval) in upstream.sseKeepAliveRoutes.sorted(by: { $0.key < $1.key }) {
            let field = "upstream.sse_keepalive_routes.\(route)"
            keepAlive(field, interval)
            guard !routes.contains(route), !decoder.hasFailed("routes") else { continue }
            let remedy = nearestName(to: route, among: routes).map { "did you mean \($0)?" } ?? "write it as in routes"
            report(field, "no such route", remedy)
        }
    }

    mutating func keepAlive(_ field: String, _ interval: Duration) {
        guard interval != .zero else { return }
        if interval < .seconds(1) || interval > Self.longest {
            report(
                field, "\(decoder.written(field, else: "\(GoDuration(clamping: interval))")) is out of range",
                "use 0 for never, or 1s to 8760h")
        }
    }

    private mutating func checkWebSocket(_ webSocket: ProxyConfiguration.WebSocket) {
        range("websocket.ping_interval", webSocket.pingInterval, from: .zero)
        range("websocket.idle_timeout", webSocket.idleTimeout, from: .zero)
        range("websocket.max_frame_size", webSocket.maxFrameSize, 1_024...1_073_741_824)
        // RFC 6455 §4.1: characters U+0021 to U+007E without separators, which is a token.
        if !webSocket.subprotocol.isEmpty, !HTTPToken.isToken(webSocket.subprotocol) {
            report("websocket.subprotocol", "not a token", "use letters, digits, '-', '.' and '_'")
        }
    }

    private mutating func checkLimits(_ limits: ProxyConfiguration.Limits) {
        range("limits.max_header_bytes", limits.maxHeaderBytes, 1_024...1_048_576)
        range("limits.max_headers", limits.maxHeaders, 1...10_000)
        range("limits.header_timeout", limits.headerTimeout, from: .milliseconds(1))
        range("limits.keep_alive_timeout", limits.keepAliveTimeout, from: .zero)
        range("limits.body_timeout", limits.bodyTimeout, from: .zero)
        range("limits.send_timeout", limits.sendTimeout, from: .zero)
        range("limits.max_requests_per_connection", limits.maxRequestsPerConnection, 1...100_000)
        range("limits.max_requests", limits.maxRequests, 1...1_000_000)
        range("limits.max_queued", limits.maxQueued, 0...100_000)
        range("limits.queue_timeout", limits.queueTimeout, from: .milliseconds(1))
        rate("limits.", limits.rate, burst: limits.burst)
        range("limits.max_connections", limits.maxConnections, 0...1_000_000)
        range("limits.max_pending_connections", limits.maxPendingConnections, 1...1_000_000)
        range("limits.buffer_size", limits.bufferSize, 16_384...1_048_576)
    }

    private mutating func checkHTTP2(_ http2: ProxyConfiguration.HTTP2) {
        range("http2.stream_window", http2.streamWindow, 16_384...16_777_216)
        range("http2.connection_window", http2.connectionWindow, 65_535...1_073_741_824)
        range("http2.max_frame_size", http2.maxFrameSize, 16_384...16_777_215)
        range("http2.header_table_size", http2.headerTableSize, 0...65_536)
        range("http2.settings_timeout", http2.settingsTimeout, from: .milliseconds(1))
        range("http2.window_timeout", http2.windowTimeout, from: .milliseconds(1))
        for (name, value) in [
            ("resets", http2.maxResets), ("settings", http2.maxSettings), ("pings", http2.maxPings),
            ("priority_updates", http2.maxPriorityUpdates), ("window_updates", http2.maxWindowUpdates),
            ("empty_frames", http2.maxEmptyFrames), ("tiny_frames", http2.maxTinyFrames),
        ] { range("http2.max_\(name)", value, 1...1_000_000) }
    }

    // MARK: - One value

    private mutating func required(_ field: String, _ value: String) {
        if value.isEmpty { report(field, "missing, and required", "set it") }
    }

    mutating func range(_ field: String, _ value: Int, _ allowed: ClosedRange<Int>) {
        if !allowed.contains(value) {
            report(
                field, "\(decoder.written(field, else: "\(value)")) is out of range",
                "use \(allowed.lowerBound) to \(allowed.upperBound)")
        }
    }

    mutating func range(_ field: String, _ value: Duration, from least: Duration) {
        if value < least || value > Self.longest {
            report(
                field, "\(decoder.written(field, else: "\(GoDuration(clamping: value))")) is out of range",
                "use \(least == .zero ? "0" : least.shown) to 8760h")
        }
    }

    mutating func report(_ field: String, _ problem: String, _ remedy: String) {
        if decoder.hasFailed(field) { return }
        decoder.report(problem, remedy: remedy, field: field, at: decoder.marks[field])
    }
}
