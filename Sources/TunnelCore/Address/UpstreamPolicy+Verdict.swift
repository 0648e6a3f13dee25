extension UpstreamPolicy {
    /// What the policy says of one address, with the reason. `name` is what is logged and counted.
    public enum Verdict: Hashable, Sendable {
        case allowed(Allowance)
        case denied(Refusal)

        public var isAllowed: Bool {
            if case .allowed = self { return true }
            return false
        }

        /// A stable name for logs and metrics, such as `allowed_by_rule` or `denied_link_local`.
        public var name: String {
            switch self {
            case .allowed(let allowance): allowance.rawValue
            case .denied(let refusal): refusal.rawValue
            }
        }
    }

    /// Why an address may be dialled.
    public enum Allowance: String, Sendable, CaseIterable {
        /// Nothing is configured and it is private (RFC 1918).
        case byDefault = "allowed_by_default"
        /// A configured range holds it.
        case byRule = "allowed_by_rule"
        /// It is configured as a single address.
        case listedByItself = "allowed_listed_by_itself"
        case validationDisabled = "allowed_validation_disabled"
    }

    /// Why an address may not be dialled.
    public enum Refusal: String, Sendable, CaseIterable {
        /// No range holds it.
        case notAllowed = "denied_not_allowed"
        /// A cloud's service for credentials and machine data.
        case metadata = "denied_metadata"
        case linkLocal = "denied_link_local"
        case multicast = "denied_multicast"
        /// 0.0.0.0/8 or ::, which reach this machine.
        case unspecified = "denied_unspecified"
        case broadcast = "denied_broadcast"
        /// The proxy's own listener: a loop.
        case ownListener = "denied_own_listener"
        /// IPv6 with an IPv4 address inside that is allowed or cannot be told, while the IPv6 address is not listed.
        case embeddedIPv4 = "denied_embedded_ipv4"
    }
}
