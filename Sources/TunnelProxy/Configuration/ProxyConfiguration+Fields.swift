package import TunnelCore

extension ProxyConfiguration {
    /// Every field of the file in the order of the reference page. Decoding knows no others.
    package static var fields: [ConfigurationField<ProxyConfiguration>] {
        [
            ConfigurationField("listen_addr", \.listenAddress, isRequired: true, needsRestart: true),
            ConfigurationField("log_level", \.logLevel),
            ConfigurationField("log_format", \.logFormat, needsRestart: true),
            ConfigurationField("shutdown_timeout", \.shutdownTimeout),
            ConfigurationField("tunnel_domain", \.tunnelDomain),
            ConfigurationField("threads", \.threads, needsRestart: true),

            ConfigurationField("tls.cert_file", \.tls.certFile, isRequired: true),
            ConfigurationField("tls.key_file", \.tls.keyFile, isRequired: true),
            ConfigurationField("tls.reload_interval", \.tls.reloadInterval, needsRestart: true),
            ConfigurationField("tls.handshake_timeout", \.tls.handshakeTimeout, needsRestart: true),
            ConfigurationField("tls.min_version", \.tls.minVersion, needsRestart: true),
            ConfigurationField("tls.session_tickets", \.tls.sessionTickets, needsRestart: true),

            ConfigurationField("routes", \.routeList, isRequired: true),

            ConfigurationField("upstream.allowed_ips", \.upstream.allowedIPs),
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
            ConfigurationField("limits.max_connections", \.limits.maxConnections),
            ConfigurationField("limits.buffer_size", \.limits.bufferSize),
        ]
    }

    /// The defaults as the reference page shows them.
    package static var defaults: ProxyConfiguration { ProxyConfiguration(blank: ()) }

    /// `routes` in the type that the table needs.
    fileprivate var routeList: RouteList {
        get { RouteList(routes: routes) }
        set { routes = newValue.routes }
    }

    /// What a running proxy with this configuration becomes when it is told to take `next`: fields that need a restart
    /// keep their value.
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
