internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// What a request is served by: one configuration, resolved into tables. Immutable; a reload swaps the whole.
final class ProxySnapshot: Sendable {
    struct Route: Sendable {
        /// The key in `routes`, for logs.
        let name: String
        let upstream: UpstreamAddress
        /// Where its requests are counted.
        let slot: RouteSlot
    }

    let configuration: ProxyConfiguration
    /// Counts the snapshots of one proxy: which of two is newer.
    let generation: UInt64
    /// Counts those that allow other addresses than the one before.
    private let policyGeneration: UInt64
    let listeners: [UpstreamPolicy.Listener]
    let routes: [Route]
    let routeSlots: RouteSlots
    let policy: UpstreamPolicy
    let headLimits: HeadLimits
    let http2Limits: HTTP2Limits
    /// For the head of the outer upgrade, which anybody can send.
    let upgradeLimits: HeadLimits
    /// How many WebSockets there may be.
    let connectionLimit: ConnectionLimit
    let hostRules: [HostRule]
    /// For `https` upstreams; `nil` when no route needs it.
    let upstreamTLS: TLSClientContext?
    /// Whether there is a route with ``eventKeepAlive(route:)``.
    let keepsEventStreamsAlive: Bool
    /// Of the routes that have a time of their own.
    private let eventKeepAlives: [String: UInt64]
    private let table: RouteTable

    // The configuration's durations in the loop's unit.
    let headerTimeout: UInt64
    let upgradeTimeout: UInt64
    let keepAliveTimeout: UInt64
    let bodyTimeout: UInt64
    let sendTimeout: UInt64
    let handshakeTimeout: UInt64
    let connectTimeout: UInt64
    let responseHeaderTimeout: UInt64
    let dnsTimeout: UInt64
    let dnsTTL: UInt64
    let poolIdleTimeout: UInt64

    /// cloudflared's requests have less than 2 KiB, and come at once.
    private static let maxUpgradeBytes = 16_384
    private static let maxUpgradeTime: UInt64 = 10_000_000_000

    /// - Parameters:
    ///   - listeners: the proxy's own addresses, never to be dialled; `nil` for those of `previous`.
    ///   - previous: the one whose place this takes.
    /// - Throws: ``ConfigurationError`` for what only shows here, such as a CA file that holds no certificate.
    init(
        _ configuration: ProxyConfiguration, listeners own: [UpstreamPolicy.Listener]? = nil,
        after previous: ProxySnapshot? = nil
    ) throws {
        self.configuration = configuration
        listeners = own ?? previous?.listeners ?? []
        generation = (previous?.generation ?? 0) + 1
        let allowsTheSame =
            previous?.configuration.upstream.allowedIPs == configuration.upstream.allowedIPs
            && previous?.configuration.upstream.disableIPValidation == configuration.upstream.disableIPValidation
            && previous?.listeners == listeners
        policyGeneration = (previous?.policyGeneration ?? 0) + (allowsTheSame ? 0 : 1)
        let slots = RouteSlots(configuration.routes.map(\.key), after: previous?.routeSlots)
        routeSlots = slots
        routes = zip(configuration.routes, slots.slots).map { Route(name: $0.key, upstream: $0.upstream, slot: $1) }
        table = try RouteTable(
            routes: routes.enumerated().map { (host: $1.name, value: $0) }, tunnelDomain: configuration.tunnelDomain)
        policy = UpstreamPolicy(
            allowed: configuration.upstream.allowedIPs,
            validationDisabled: configuration.upstream.disableIPValidation,
            ownListeners: listeners, localAddresses: SocketAddress.interfaceAddresses())
        let limits = configuration.limits
        headLimits = HeadLimits(maxBytes: limits.maxHeaderBytes, maxFields: limits.maxHeaders)
        http2Limits = configuration.http2Limits
        upgradeLimits = HeadLimits(
            maxBytes: min(limits.maxHeaderBytes, ProxySnapshot.maxUpgradeBytes), maxFields: limits.maxHeaders)
        connectionLimit = ConnectionLimit(setting: limits.maxConnections)
        hostRules = routes.map { route in
            configuration.upstream.hostHeader == .preserve
                ? .preserve : .replace(Array(ProxySnapshot.authority(of: route.upstream).utf8))
        }
        upstreamTLS = try ProxySnapshot.upstreamTLS(configuration)
        headerTimeout = limits.headerTimeout.nanoseconds
        upgradeTimeout = min(headerTimeout, ProxySnapshot.maxUpgradeTime)
        keepAliveTimeout = limits.keepAliveTimeout.nanoseconds
        bodyTimeout = limits.bodyTimeout.nanoseconds
        sendTimeout = limits.sendTimeout.nanoseconds
        handshakeTimeout = configuration.tls.handshakeTimeout.nanoseconds
        connectTimeout = configuration.upstream.connectTimeout.nanoseconds
        responseHeaderTimeout = configuration.upstream.responseHeaderTimeout.nanoseconds
        dnsTimeout = configuration.upstream.dnsTimeout.nanoseconds
        dnsTTL = configuration.upstream.dnsTTL.nanoseconds
        poolIdleTimeout = configuration.upstream.idleTimeout.nanoseconds
        eventKeepAlives = configuration.upstream.sseKeepAliveRoutes.mapValues(\.nanoseconds)
        keepsEventStreamsAlive =
            configuration.upstream.sseKeepAlive > .zero || eventKeepAlives.contains { $0.value > 0 }
    }

    /// The same in memory of its own, as far as requests count references to it.
    init(copyOf other: ProxySnapshot) {
        configuration = other.configuration
        (generation, policyGeneration, listeners) = (other.generation, other.policyGeneration, other.listeners)
        (routes, hostRules) = (other.routes.map { $0 }, other.hostRules.map { $0 })
        routeSlots = other.routeSlots
        (policy, headLimits, upstreamTLS, table) = (other.policy, other.headLimits, other.upstreamTLS, other.table)
        http2Limits = other.http2Limits
        (upgradeLimits, connectionLimit) = (other.upgradeLimits, other.connectionLimit)
        (headerTimeout, upgradeTimeout) = (other.headerTimeout, other.upgradeTimeout)
        keepAliveTimeout = other.keepAliveTimeout
        (bodyTimeout, sendTimeout) = (other.bodyTimeout, other.sendTimeout)
        (handshakeTimeout, connectTimeout) = (other.handshakeTimeout, other.connectTimeout)
        (responseHeaderTimeout, poolIdleTimeout) = (other.responseHeaderTimeout, other.poolIdleTimeout)
        (dnsTimeout, dnsTTL) = (other.dnsTimeout, other.dnsTTL)
        (keepsEventStreamsAlive, eventKeepAlives) = (other.keepsEventStreamsAlive, other.eventKeepAlives)
    }

    private static func upstreamTLS(_ configuration: ProxyConfiguration) throws -> TLSClientContext? {
        let tls = configuration.upstream.tls
        // A file that is named is read even where no route needs it yet, so that a mistake shows at once.
        let anchors = try tls.caFile.map { file in try authorities(in: file, configuration) }
        guard anchors != nil || configuration.routes.contains(where: { $0.upstream.scheme == .https }) else {
            return nil
        }
        let trust: TrustStore
        do throws(TLSError) { trust = try TrustStore(pem: anchors, includingSystem: tls.includeSystemCAs) } catch {
            throw configuration.error(
                "upstream.tls.include_system_cas", error.description,
                remedy: "install the system's CA certificates (ca-certificates), or name a file in upstream.tls.ca_file"
            )
        }
        return try TLSClientContext(trust: trust, options: TLSClientOptions(alpn: ["http/1.1"]))
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
                field, "\(file): \(error.detail)", remedy: "name a PEM file of the CAs that sign for your upstreams")
        }
        return bytes
    }

    /// By which a pool knows connections that were found good under an older configuration. A plain one was checked for
    /// its address; a TLS one also by CAs, whose files are read anew with each snapshot.
    func generation(of scheme: UpstreamAddress.Scheme) -> UInt64 {
        scheme == .https ? generation : policyGeneration
    }

    /// Where Claude reaches a route; see `ProxyConfiguration.publicURL(of:)`.
    func publicURL(of route: Route) -> String? {
        configuration.publicURL(of: TunnelProxy.Route(key: route.name, upstream: route.upstream))
    }

    /// Nanoseconds of silence after which an event stream of that route gets a comment; 0 for never.
    func eventKeepAlive(route: String?) -> UInt64 {
        route.flatMap { eventKeepAlives[$0] } ?? configuration.upstream.sseKeepAlive.nanoseconds
    }

    /// The index in `routes` of the route for a Host value.
    func route(for authority: Span<UInt8>) -> Int? { table.lookup(authority) }

    private static func authority(of upstream: UpstreamAddress) -> String {
        let host = upstream.host.utf8.contains(UInt8(ascii: ":")) ? "[\(upstream.host)]" : upstream.host
        return "\(host):\(upstream.port)"
    }
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
