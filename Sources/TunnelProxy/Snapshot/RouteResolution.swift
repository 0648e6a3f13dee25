internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// Makes of `routes` and `route_options` what requests are served by, and reads the files that they name.
struct RouteResolution {
    private(set) var routes: [ProxySnapshot.Route] = []
    private(set) var names: [ProxySnapshot.Names] = []
    private(set) var hostRules: [HostRule] = []
    /// What holds for all first.
    private(set) var egresses: [Egress] = []
    private(set) var egressSettings: [Egress.Settings] = []
    private(set) var limiters: [String: RouteLimiters] = [:]
    private(set) var files: RouteFiles.Digests

    /// - Parameters:
    ///   - policy: what holds where a tunnel has no list of its own.
    ///   - common: TLS to the upstreams whose routes say nothing of it.
    ///   - commonTrust: what such routes trust.
    ///   - previous: whose limits go on, and whose TLS too where `keepsTLS`.
    init(
        _ tunnels: [ProxySnapshot.Tunnel], _ slots: [RouteSlot], _ policy: UpstreamPolicy,
        listeners: [UpstreamPolicy.Listener],
        common: TLSClientContext?, commonTrust: TrustStore?, after previous: ProxySnapshot?, keepsTLS: Bool
    ) throws {
        egresses = [Egress(.common, tls: common, policy, listeners: listeners)]
        egressSettings = [.common]
        files = RouteFiles.Digests()
        var slots = slots[...]
        for tunnel in tunnels {
            try resolve(
                tunnel, &slots, policy, listeners: listeners, common: common, commonTrust: commonTrust, after: previous,
                keepsTLS: keepsTLS)
        }
        // Not as the files are now: what is in force was made of what they held then.
        if keepsTLS, let previous { files.tls = previous.routeFiles.tls }
    }

    private mutating func resolve(
        _ tunnel: ProxySnapshot.Tunnel, _ slots: inout ArraySlice<RouteSlot>, _ common: UpstreamPolicy,
        listeners: [UpstreamPolicy.Listener], common commonTLS: TLSClientContext?, commonTrust: TrustStore?,
        after previous: ProxySnapshot?, keepsTLS: Bool
    ) throws {
        let (configuration, upstream) = (tunnel.configuration, tunnel.configuration.upstream)
        var reader = RouteFiles(configuration, files)
        var policy = common
        var tunnelIPs: [IPPrefix]?
        if configuration.places.hasOwnRanges {
            tunnelIPs = upstream.allowedIPs
            policy = UpstreamPolicy(
                allowed: upstream.allowedIPs, validationDisabled: upstream.disableIPValidation,
                ownListeners: listeners, localAddresses: SocketAddress.interfaceAddresses())
        }
        for route in configuration.routes {
            guard let slot = slots.popFirst() else { break }
            let options = configuration.routeOptions[route.key] ?? RouteOptions()
            let settings = Egress.Settings(
                allowedIPs: options.allowedIPs, tls: options.tls, tunnel: tunnel.name, tunnelIPs: tunnelIPs)
            let number: Int
            if let known = egressSettings.firstIndex(of: settings) {
                number = known
            } else {
                number = egresses.count
                var context = keepsTLS ? previous?.egresses[number].tls : commonTLS
                if !keepsTLS, settings.tls != RouteOptions.TLS() {
                    context = try reader.context(settings.tls, of: route.key, common: commonTrust)
                }
                egresses.append(Egress(settings, tls: context, policy, listeners: listeners))
                egressSettings.append(settings)
            }
            let label = tunnel.name == nil ? route.key : configuration.publicHost(of: route) ?? route.key
            let limits = previous?.limiters[label] ?? RouteLimiters()
            limiters[label] = limits
            names.append(
                ProxySnapshot.Names(
                    tunnel: tunnel.name, label: label, publicURL: configuration.publicURL(of: route)))
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
    }
}
