internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// What a request is served by: one configuration, resolved into tables. Immutable; a reload swaps the whole.
final class ProxySnapshot: Sendable {
    /// A tunnel, the only one or one of several.
    struct Tunnel: Sendable {
        /// By which connections know it.
        let number: Int
        /// How it is told from the others; `nil` where it is the only one, and needs no name.
        let name: String?
        /// As if it were the only one.
        let configuration: ProxyConfiguration
    }

    struct Route: Sendable {
        /// The key in `routes`, for logs.
        let name: String
        /// Where its requests go, and by which connections.
        let key: UpstreamKey
        /// Where its requests are counted.
        let slot: RouteSlot
        // In the loop's unit.
        let connectTimeout: UInt64
        let responseHeaderTimeout: UInt64
        /// Nanoseconds of silence after which an event stream gets a comment; 0 for never.
        let eventKeepAlive: UInt64
        /// What it asks of requests and adds to them; `nil` for nothing.
        let rules: RouteRules?

        var upstream: UpstreamAddress { key.address }
    }

    /// What a route is called where it is told of, which requests do not look at.
    struct Names: Sendable {
        /// How its tunnel is told from others; `nil` where it is the only one.
        let tunnel: String?
        /// Of all routes of all tunnels its own: the key, or with several tunnels the whole host name.
        let label: String
        /// Where Claude reaches it; see `ProxyConfiguration.publicURL(of:)`.
        let publicURL: String?
    }

    /// What another snapshot of the same configuration reads again.
    enum Rereading {
        /// Everything.
        case all
        /// The values of `set_headers`: what connections were made by stays.
        case headerValues
    }

    let configuration: ProxyConfiguration
    /// Counts the snapshots of one proxy: which of two is newer.
    let generation: UInt64
    /// Counts those that allow other addresses than the one before.
    private let policyGeneration: UInt64
    /// Counts those whose certificates and CAs may be others.
    private let tlsGeneration: UInt64
    let listeners: [UpstreamPolicy.Listener]
    /// In the order of the file.
    let tunnels: [Tunnel]
    private let tunnelNumbers: TunnelNumbers
    /// Of all tunnels, one behind the other.
    let routes: [Route]
    /// In the order of `routes`.
    let names: [Names]
    let routeSlots: RouteSlots
    /// What holds where a tunnel has no list of its own.
    let policy: UpstreamPolicy
    let headLimits: HeadLimits
    let http2Limits: HTTP2Limits
    /// For the head of the outer upgrade, which anybody can send.
    let upgradeLimits: HeadLimits
    /// How many WebSockets there may be.
    let connectionLimit: ConnectionLimit
    let hostRules: [HostRule]
    /// For `https` upstreams whose routes say nothing of TLS; `nil` when no route needs it.
    let upstreamTLS: TLSClientContext?
    /// By which addresses and TLS connections are made; what holds for all first.
    let egresses: [Egress]
    private let egressSettings: [Egress.Settings]
    /// By the labels of the routes.
    let limiters: [String: RouteLimiters]
    /// What the files of `route_options` held.
    let routeFiles: RouteFiles.Digests
    /// `limits.rate`, and `limits.max_requests` where requests may wait for their turn.
    let rate: RateLimit?
    let places: PlaceLimit?
    private let ownLimiters: RouteLimiters
    /// Whether there is a route whose event streams get comments.
    let keepsEventStreamsAlive: Bool
    private let tables: TunnelTables

    // The configuration's durations in the loop's unit.
    let headerTimeout: UInt64
    let upgradeTimeout: UInt64
    let keepAliveTimeout: UInt64
    let bodyTimeout: UInt64
    let sendTimeout: UInt64
    let handshakeTimeout: UInt64
    let dnsTimeout: UInt64
    let dnsTTL: UInt64
    let poolIdleTimeout: UInt64

    /// cloudflared's requests have less than 2 KiB, and come at once.
    private static let maxUpgradeBytes = 16_384
    private static let maxUpgradeTime: UInt64 = 10_000_000_000

    /// - Parameters:
    ///   - listeners: the proxy's own addresses, never to be dialled; `nil` for those of `previous`.
    ///   - previous: the one whose place this takes.
    ///   - rereading: less than everything only where `configuration` is that of `previous`.
    /// - Throws: ``ConfigurationError`` for what only shows here, such as a CA file that holds no certificate.
    init(
        _ configuration: ProxyConfiguration, listeners own: [UpstreamPolicy.Listener]? = nil,
        after previous: ProxySnapshot? = nil, rereading: Rereading = .all
    ) throws {
        self.configuration = configuration
        listeners = own ?? previous?.listeners ?? []
        generation = (previous?.generation ?? 0) + 1
        let keepsTLS = rereading == .headerValues && previous?.configuration == configuration
        tlsGeneration = keepsTLS ? previous?.tlsGeneration ?? 1 : generation
        let tls =
            keepsTLS ? (context: previous?.upstreamTLS, trust: nil) : try ProxySnapshot.upstreamTLS(configuration)
        upstreamTLS = tls.context
        var numbers = previous?.tunnelNumbers ?? TunnelNumbers()
        let hasSeveral = !configuration.tunnels.isEmpty
        let tunnels = configuration.perTunnel.map { alone in
            let name = hasSeveral ? alone.tunnelDomain : nil
            return Tunnel(number: numbers.number(of: name), name: name, configuration: alone)
        }
        (self.tunnels, tunnelNumbers) = (tunnels, numbers)
        let slots = RouteSlots(
            tunnels.flatMap { tunnel in
                tunnel.configuration.routes.map { RouteSlots.Name($0.key, of: tunnel.name) }
            }, after: previous?.routeSlots)
        routeSlots = slots
        policy = UpstreamPolicy(
            allowed: configuration.upstream.allowedIPs,
            validationDisabled: configuration.upstream.disableIPValidation,
            ownListeners: listeners, localAddresses: SocketAddress.interfaceAddresses())
        let resolved = try RouteResolution(
            tunnels, slots.slots, policy, listeners: listeners, common: tls.context,
            commonTrust: tls.trust, after: previous, keepsTLS: keepsTLS)
        (routes, names, hostRules) = (resolved.routes, resolved.names, resolved.hostRules)
        (egresses, egressSettings) = (resolved.egresses, resolved.egressSettings)
        (limiters, routeFiles) = (resolved.limiters, resolved.files)
        let allowsTheSame =
            previous?.egressSettings == egressSettings
            && previous?.configuration.upstream.allowedIPs == configuration.upstream.allowedIPs
            && previous?.configuration.upstream.disableIPValidation == configuration.upstream.disableIPValidation
            && previous?.listeners == listeners
        policyGeneration = (previous?.policyGeneration ?? 0) + (allowsTheSame ? 0 : 1)
        var index = 0
        let tables = try tunnels.map { tunnel in
            let own = tunnel.configuration.routes.enumerated().map { (host: $1.key, value: index + $0) }
            index += own.count
            return (
                number: tunnel.number, domain: tunnel.name,
                routes: try RouteTable(routes: own, tunnelDomain: tunnel.configuration.tunnelDomain)
            )
        }
        self.tables = TunnelTables(tables, end: numbers.end)
        let limits = configuration.limits
        headLimits = HeadLimits(maxBytes: limits.maxHeaderBytes, maxFields: limits.maxHeaders)
        http2Limits = configuration.http2Limits
        upgradeLimits = HeadLimits(
            maxBytes: min(limits.maxHeaderBytes, ProxySnapshot.maxUpgradeBytes), maxFields: limits.maxHeaders)
        connectionLimit = ConnectionLimit(setting: limits.maxConnections)
        ownLimiters = previous?.ownLimiters ?? RouteLimiters()
        rate = RateLimit(limits.rate, burst: limits.burst, ownLimiters.bucket)
        places =
            limits.maxQueued == 0
            ? nil
            : PlaceLimit(
                limits.maxRequests, queue: limits.maxQueued, timeout: limits.queueTimeout.nanoseconds,
                ownLimiters.turnstile)
        headerTimeout = limits.headerTimeout.nanoseconds
        upgradeTimeout = min(headerTimeout, ProxySnapshot.maxUpgradeTime)
        keepAliveTimeout = limits.keepAliveTimeout.nanoseconds
        bodyTimeout = limits.bodyTimeout.nanoseconds
        sendTimeout = limits.sendTimeout.nanoseconds
        handshakeTimeout = configuration.tls.handshakeTimeout.nanoseconds
        dnsTimeout = configuration.upstream.dnsTimeout.nanoseconds
        dnsTTL = configuration.upstream.dnsTTL.nanoseconds
        poolIdleTimeout = configuration.upstream.idleTimeout.nanoseconds
        keepsEventStreamsAlive = routes.contains { $0.eventKeepAlive > 0 }
    }

    /// The same in memory of its own, as far as requests count references to it.
    init(copyOf other: ProxySnapshot) {
        configuration = other.configuration
        (generation, policyGeneration, listeners) = (other.generation, other.policyGeneration, other.listeners)
        tlsGeneration = other.tlsGeneration
        (egresses, egressSettings) = (other.egresses.map { $0 }, other.egressSettings)
        (limiters, routeFiles, ownLimiters) = (other.limiters, other.routeFiles, other.ownLimiters)
        (rate, places) = (other.rate, other.places)
        (routes, hostRules) = (other.routes.map { $0 }, other.hostRules.map { $0 })
        (routeSlots, names) = (other.routeSlots, other.names)
        (policy, headLimits, upstreamTLS) = (other.policy, other.headLimits, other.upstreamTLS)
        (tunnels, tunnelNumbers, tables) = (other.tunnels, other.tunnelNumbers, TunnelTables(copyOf: other.tables))
        http2Limits = other.http2Limits
        (upgradeLimits, connectionLimit) = (other.upgradeLimits, other.connectionLimit)
        (headerTimeout, upgradeTimeout) = (other.headerTimeout, other.upgradeTimeout)
        keepAliveTimeout = other.keepAliveTimeout
        (bodyTimeout, sendTimeout) = (other.bodyTimeout, other.sendTimeout)
        (handshakeTimeout, poolIdleTimeout) = (other.handshakeTimeout, other.poolIdleTimeout)
        (dnsTimeout, dnsTTL) = (other.dnsTimeout, other.dnsTTL)
        keepsEventStreamsAlive = other.keepsEventStreamsAlive
    }

    private static func upstreamTLS(
        _ configuration: ProxyConfiguration
    ) throws -> (context: TLSClientContext?, trust: TrustStore?) {
        let tls = configuration.upstream.tls
        // A file that is named is read even where no route needs it yet, so that a mistake shows at once.
        let anchors = try tls.caFile.map { file in try authorities(in: file, configuration) }
        let isNeeded = configuration.perTunnel.contains { tunnel in
            tunnel.routes.contains { route in
                route.upstream.scheme == .https && tunnel.routeOptions[route.key]?.tls.caFile == nil
            }
        }
        guard anchors != nil || isNeeded else { return (nil, nil) }
        let trust: TrustStore
        do throws(TLSError) { trust = try TrustStore(pem: anchors, includingSystem: tls.includeSystemCAs) } catch {
            throw configuration.error(
                "upstream.tls.include_system_cas", error.description,
                remedy: "install the system's CA certificates (ca-certificates), or name a file in upstream.tls.ca_file"
            )
        }
        return (try TLSClientContext(trust: trust, options: TLSClientOptions(alpn: ["http/1.1"])), trust)
    }

    /// The content of `upstream.tls.ca_file`, which is known to hold CAs that can be trusted.
    private static func authorities(
        in file: String, _ configuration: ProxyConfiguration
    ) throws(ConfigurationError) -> [UInt8] {
        let field = "upstream.tls.ca_file"
        let bytes: [UInt8]
        do throws(FileError) { bytes = try FileBytes.read(file) } catch {
            throw configuration.error(
                field, error.description, remedy: "name a PEM file that the proxy's user, 65532 in the image, can read")
        }
        do throws(TLSError) { _ = try TrustStore(pem: bytes) } catch {
            throw configuration.error(
                field, "\(file): \(error.reason)", remedy: "name a PEM file of the CAs that sign for your upstreams")
        }
        return bytes
    }

    /// By which a pool knows connections that were found good under an older configuration. A plain one was checked for
    /// its address; a TLS one also by CAs, whose files are read anew with each snapshot.
    func generation(of scheme: UpstreamAddress.Scheme) -> UInt64 {
        scheme == .https ? tlsGeneration : policyGeneration
    }

    /// What the policy says of an address that a route's upstream has.
    func verdict(_ address: IPAddress, of route: UpstreamKey) -> UpstreamPolicy.Verdict {
        egresses[route.egress].verdict(address, port: route.address.port)
    }

    /// The index in `routes` of a tunnel's route for a Host value.
    func route(for authority: Span<UInt8>, of tunnel: Int) -> Int? { tables.lookup(authority, of: tunnel) }

    /// Whether a Host value without a route there is another tunnel's (RFC 9110 §15.5.20).
    func isMisdirected(_ authority: Span<UInt8>, of tunnel: Int) -> Bool {
        tables.isMisdirected(authority, of: tunnel)
    }

    /// Whether the tunnel is still configured.
    func holds(tunnel: Int) -> Bool { tables.holds(tunnel) }

    /// The tunnel of that number; `nil` where it is no longer configured.
    func tunnel(_ number: Int) -> Tunnel? { tunnels.first { $0.number == number } }
}

extension Duration {
    /// The loop's unit; a duration below zero counts as zero, one beyond the range as its end.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max / 4 : min(.max / 4, whole + UInt64(attoseconds / 1_000_000_000))
    }
}
