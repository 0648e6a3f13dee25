internal import TunnelCore
internal import TunnelIO
internal import TunnelPKI
internal import TunnelTLS

/// By which addresses and which TLS a route's connections are made: what two routes have to have in common to use each
/// other's.
struct Egress: Sendable {
    /// As it is configured.
    struct Settings: Hashable, Sendable {
        /// Of the route itself, within the list that holds for all.
        var allowedIPs: [IPPrefix]?
        var tls = RouteOptions.TLS()
        /// Of several: no two of them share a connection.
        var tunnel: String?
        /// Of the tunnel itself, in place of the list that holds for all.
        var tunnelIPs: [IPPrefix]?

        /// What holds for all, and nothing besides.
        static let common = Settings()
    }

    /// What holds for all, or for the tunnel.
    private let policy: UpstreamPolicy
    /// Has to allow an address too.
    private let ownPolicy: UpstreamPolicy?
    /// `nil` when no `https` route needs it.
    let tls: TLSClientContext?
    private let serverName: String?
    private let pins: [String]

    init(
        _ settings: Settings, tls: TLSClientContext?, _ policy: UpstreamPolicy, listeners: [UpstreamPolicy.Listener]
    ) {
        self.policy = policy
        ownPolicy = settings.allowedIPs.map { UpstreamPolicy(allowed: $0, ownListeners: listeners) }
        self.tls = tls
        (serverName, pins) = (settings.tls.serverName, settings.tls.pins)
    }

    func verdict(_ address: IPAddress, port: UInt16) -> UpstreamPolicy.Verdict {
        let wider = policy.verdict(address, port: port)
        guard wider.isAllowed, let ownPolicy else { return wider }
        return ownPolicy.verdict(address, port: port)
    }

    /// The name that TLS asks for and verifies.
    func serverName(for upstream: UpstreamAddress) -> String {
        // A trailing dot makes a name absolute for the resolver and is no part of it in TLS (RFC 6066 §3).
        serverName ?? (upstream.host.hasSuffix(".") ? String(upstream.host.dropLast()) : upstream.host)
    }

    /// Whether a server that has shown this certificate is the one that is meant.
    ///
    /// - Returns: why not.
    func refusal(ofCertificate der: [UInt8]?) -> String? {
        guard !pins.isEmpty else { return nil }
        let pin = der.flatMap { try? Certificate(der: $0).publicKeyPin() }
        guard let pin else { return "the server's public key cannot be read" }
        return pins.contains(pin) ? nil : "the server's public key is not pinned: it is \(pin)"
    }
}

/// Which connections are alike: those to one upstream by one ``Egress``.
struct UpstreamKey: Hashable, Sendable {
    let address: UpstreamAddress
    /// Its index in the snapshot; 0 for what holds for all.
    var egress = 0
}
