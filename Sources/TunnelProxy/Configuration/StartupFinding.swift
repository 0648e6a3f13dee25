public import TunnelCore

/// Something about a configuration, or the certificate that goes with it, with which the proxy starts and which an operator
/// should know: a defence that is off, a route that cannot work, a certificate that will be refused.
///
/// The log tells each at the start, and after a reload those that are new.
public struct StartupFinding: Hashable, Sendable, CustomStringConvertible {
    /// A stable name. More may come. A finding about the certificate has the name of the rule that `setup verify` shows.
    public struct ID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public var description: String { rawValue }

        /// `upstream.disable_ip_validation` is on.
        public static let validationOff = ID(rawValue: "upstream-validation-off")
        /// A range of `upstream.allowed_ips` holds every address.
        public static let everyAddressAllowed = ID(rawValue: "upstream-every-address")
        /// A route leads to a literal address that the policy refuses.
        public static let upstreamRefused = ID(rawValue: "upstream-refused")
        /// The listener can be reached from the Internet, as far as this machine's addresses tell.
        public static let publicListener = ID(rawValue: "listener-public")
        /// Every user of the machine can read `tls.key_file` or `tls.ticket_keys_file`.
        public static let keyReadableByOthers = ID(rawValue: "key-readable-by-others")
        /// `tls.ticket_keys_file` is not there, so that other proxies cannot resume this one's sessions.
        public static let ticketKeysMissing = ID(rawValue: "ticket-keys-missing")
    }

    public let id: ID
    /// How the log tells it.
    public let level: LogLevel
    /// The finding in a few words that stay the same: what the log's line says, to be searched for.
    public let text: String
    /// What was found, with names and values.
    public let detail: String
    /// What to do.
    public let remedy: String

    init(_ id: ID, _ text: String, level: LogLevel = .warn, detail: String, remedy: String) {
        (self.id, self.level, self.text, self.detail, self.remedy) = (id, level, text, detail, remedy)
    }

    /// `text: detail (remedy) [id]`
    public var description: String { "\(text): \(detail) (\(remedy)) [\(id.rawValue)]" }
}

extension Log {
    /// Tells a finding.
    ///
    /// - Parameter tunnel: that it is about, where there are several.
    func report(_ finding: StartupFinding, of tunnel: String? = nil) {
        self(finding.level, finding.text) { line in
            if let tunnel { line.field("tunnel", tunnel) }
            line.field("finding", finding.id.rawValue)
            line.field("detail", finding.detail)
            line.field("remedy", finding.remedy)
        }
    }
}
