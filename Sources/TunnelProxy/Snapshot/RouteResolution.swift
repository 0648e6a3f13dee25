internal import TunnelCore
internal import TunnelTLS

/// Makes of `routes` and `route_options` what requests are served by, and reads the files that they name.
struct RouteResolution {
    private(set) var routes: [ProxySnapshot.Route] = []
    private(set) var hostRules: [HostRule] = []
    /// What holds for all first.
    private(set) var egresses: [Egress] = []
    private(set) var egressSettings: [Egress.Settings] = []
    private(set) var limiters: [String: RouteLimiters] = [:]
    private(set) var files: RouteFiles.Digests

    /// - Parameters:
    ///   - common: TLS to the upstreams whose routes say nothing of it.
    ///   - commonTrust: what such routes trust.
    ///   - previous: whose limits go on, and whose TLS too where `keepsTLS`.
    init(
        _ configuration: ProxyConfiguration, _ slots: [RouteSlot], listeners: [UpstreamPolicy.Listener],
        common: TLSClientContext?, commonTrust: TrustStore?, after previous: ProxySnapshot?, keepsTLS: Bool
    ) throws {
        var reader = RouteFiles(configuration)
        egresses = [Egress(.common, tls: common, listeners: listeners)]
        egressSettings = [.common]
        let upstream = configuration.upstream
        for (route, slot) in zip(configuration.routes, slots) {
            let options = configuration.routeOptions[route.key] ?? RouteOptions()
            let settings = Egress.Settings(allowedIPs: options.allowedIPs, tls: options.tls)
            let number: Int
            if let known = egressSettings.firstIndex(of: settings) {
                number = known
            } else {
                number = egresses.count
                var context = keepsTLS ? previous?.egresses[number].tls : common
                if !keepsTLS, settings.tls != RouteOptions.TLS() {
                    context = try reader.context(settings.tls, of: route.key, common: commonTrust)
                }
                egresses.append(Egress(settings, tls: context, listeners: listeners))
                egressSettings.append(settings)
            }
            let limits = previous?.limiters[route.key] ?? RouteLimiters()
            limiters[route.key] = limits
            let lines = try reader.lines(options.setHeaders, of: route.key)
            let keepAlive = options.sseKeepAlive ?? upstream.sseKeepAliveRoutes[route.key] ?? upstream.sseKeepAlive
            routes.append(
                ProxySnapshot.Route(
                    name: route.key, key: UpstreamKey(address: route.upstream, egress: number), slot: slot,
                    connectTimeout: (options.connectTimeout ?? upstream.connectTimeout).nanoseconds,
                    responseHeaderTimeout: (options.responseHeaderTimeout ?? upstream.responseHeaderTimeout)
                        .nanoseconds,
                    eventKeepAlive: keepAlive.nanoseconds,
                    rules: RouteRules(
                        options, lines: lines, limits, queueTimeout: configuration.limits.queueTimeout.nanoseconds)))
            hostRules.append(
                options.hostHeader ?? upstream.hostHeader == .preserve
                    ? .preserve : .replace(Array(route.upstream.authority.utf8)))
        }
        files = reader.digests
        // Not as the files are now: what is in force was made of what they held then.
        if keepsTLS, let previous { files.tls = previous.routeFiles.tls }
    }
}
