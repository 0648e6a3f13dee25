internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// What a request is served by: one configuration, resolved into tables. Immutable; a reload swaps the whole.
final class ProxySnapshot: Sendable {
    struct Route: Sendable {
        /// The key in `routes`, for logs.
        let name: String
        let upstream: UpstreamAddress
    }

    let configuration: ProxyConfiguration
    /// Counts the snapshots of one proxy: which of two is newer.
    private let generation: UInt64
    /// Counts those that allow other addresses than the one before.
    private let policyGeneration: UInt64
    private let listeners: [UpstreamPolicy.Listener]
    let routes: [Route]
    let policy: UpstreamPolicy
    let headLimits: HeadLimits
    /// For the head of the outer upgrade, which anybody can send.
    let upgradeLimits: HeadLimits
    /// How many WebSockets there may be.
    let connectionLimit: ConnectionLimit
    let hostRules: [HostRule]
    /// For `https` upstreams; `nil` when no route needs it.
    let upstreamTLS: TLSClientContext?
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
        routes = configuration.routes.map { Route(name: $0.key, upstream: $0.upstream) }
        table = try RouteTable(
            routes: routes.enumerated().map { (host: $1.name, value: $0) }, tunnelDomain: configuration.tunnelDomain)
        policy = UpstreamPolicy(
            allowed: configuration.upstream.allowedIPs,
            validationDisabled: configuration.upstream.disableIPValidation,
            ownListeners: listeners, localAddresses: SocketAddress.interfaceAddresses())
        let limits = configuration.limits
        headLimits = HeadLimits(maxBytes: limits.maxHeaderBytes, maxFields: limits.maxHeaders)
        upgradeLimits = HeadLimits(
            maxBytes: min(limits.maxHeaderBytes, ProxySnapshot.maxUpgradeBytes), maxFields: limits.maxHeaders)
        connectionLimit = ConnectionLimit(setting: limits.maxConnections)
        hostRules = routes.map { route in
            configuration.upstream.hostHeader == .preserve
                ? .preserve : .replace(Array(ProxySnapshot.authority(of: route.upstream).utf8))
        }
        let tls = configuration.upstream.tls
        // A file that is named is read even where no route needs it yet, so that a mistake shows at once.
        let anchors = try tls.caFile.map { try FileBytes.read($0) }
        if anchors != nil || routes.contains(where: { $0.upstream.scheme == .https }) {
            let trust = try TrustStore(pem: anchors, includingSystem: tls.includeSystemCAs)
            upstreamTLS = try TLSClientContext(trust: trust, options: TLSClientOptions(alpn: ["http/1.1"]))
        } else {
            upstreamTLS = nil
        }
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
    }

    /// By which a pool knows connections that were found good under an older configuration. A plain one was checked for
    /// its address; a TLS one also by CAs, whose files are read anew with each snapshot.
    func generation(of scheme: UpstreamAddress.Scheme) -> UInt64 {
        scheme == .https ? generation : policyGeneration
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
