/// Which addresses the proxy may dial: one pure function from address and port to a named verdict.
///
/// This is the defence against server-side request forgery, so it is asked about the very address that is dialled, after
/// name resolution, for each new connection. In this order:
///
/// 1. An address listed by itself (as a single address, `/32` or `/128`) is allowed, whatever else it is.
/// 2. An IPv4 address inside IPv6 is taken out (`EmbeddedIPv4`). A mapped address is dialled as IPv4 by this machine, so
///    the verdict is that of the inner one. In every other form, NAT64 too, somebody else takes the packets to one or
///    the other: the inner address must be allowed *and* the outer one lie in a listed range of IPv6.
/// 3. Metadata services, link-local, multicast, unspecified and broadcast addresses and the proxy's own listeners are
///    refused.
/// 4. The listed ranges decide; without a list, the private blocks of RFC 1918 and no IPv6.
///
/// With validation disabled everything is allowed but the proxy's own listeners: that would be a loop, never a service.
public struct UpstreamPolicy: Sendable {
    /// An address and port on which this process listens.
    public struct Listener: Hashable, Sendable {
        /// The bound address; `0.0.0.0` or `::` for all of the machine's.
        public let address: IPAddress
        public let port: UInt16

        public init(address: IPAddress, port: UInt16) { (self.address, self.port) = (address, port) }
    }

    private let ranges: [IPPrefix]
    private let singles: Set<IPAddress>
    private let isDefault: Bool
    private let validationDisabled: Bool
    private let listeners: [Listener]
    private let localAddresses: Set<IPAddress>

    /// - Parameter allowed: the ranges and addresses that may be dialled; they replace the default. `nil` means RFC 1918;
    ///   an empty list allows nothing.
    /// - Parameter validationDisabled: allow everything but the own listeners; `allowed` is then without effect.
    /// - Parameter ownListeners: where the proxy listens, so that a route cannot lead back into it.
    /// - Parameter localAddresses: the addresses of this machine's interfaces. A listener on a wildcard address, of
    ///   either family, is taken to answer on all of them, on every loopback address and on the unspecified address.
    public init(
        allowed: [IPPrefix]?, validationDisabled: Bool = false, ownListeners: [Listener] = [],
        localAddresses: [IPAddress] = []
    ) {
        let listed = allowed?.map(\.unmapped)
        ranges = listed ?? SpecialAddresses.privateIPv4
        singles = Set(listed?.filter(\.isSingle).map(\.network) ?? [])
        isDefault = allowed == nil
        self.validationDisabled = validationDisabled
        listeners = ownListeners.map { Listener(address: $0.address.destination, port: $0.port) }
        self.localAddresses = Set(localAddresses.map(\.destination))
    }

    /// Whether `address` may be dialled on `port`, and by which rule.
    public func verdict(_ address: IPAddress, port: UInt16) -> Verdict {
        if validationDisabled {
            return isOwnListener(address.destination, port) ? .denied(.ownListener) : .allowed(.validationDisabled)
        }
        if singles.contains(address) { return .allowed(.listedByItself) }
        guard let embedded = address.embeddedIPv4 else { return plainVerdict(address, port) }
        if embedded.form == .nat64LocalAmbiguous { return .denied(.embeddedIPv4) }
        let inner = plainVerdict(embedded.address, port)
        guard inner.isAllowed, embedded.form != .mapped else { return inner }
        let outer = plainVerdict(address, port)
        return outer == .denied(.notAllowed) ? .denied(.embeddedIPv4) : outer
    }

    /// The log's words for a refused address, always the same: operators search for them.
    public static func refusal(for address: IPAddress) -> String {
        "IP validation failed: \(address) is not a private address"
    }

    /// The verdict on an address taken as it stands, without looking inside.
    private func plainVerdict(_ address: IPAddress, _ port: UInt16) -> Verdict {
        if singles.contains(address) { return .allowed(.listedByItself) }
        if let refusal = SpecialAddresses.refusal(of: address) { return .denied(refusal) }
        if isOwnListener(address, port) { return .denied(.ownListener) }
        // Asked once per upstream connection: a few hundred comparisons are a microsecond.
        for range in ranges where range.contains(address) { return .allowed(isDefault ? .byDefault : .byRule) }
        return .denied(.notAllowed)
    }

    private func isOwnListener(_ address: IPAddress, _ port: UInt16) -> Bool {
        for listener in listeners where listener.port == port {
            if listener.address == address { return true }
            // Linux takes a connection to the unspecified address to loopback.
            if address.isUnspecified, listener.address.isLoopback { return true }
            guard listener.address.isUnspecified else { continue }
            if address.isUnspecified || address.isLoopback || localAddresses.contains(address) { return true }
        }
        return false
    }
}

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
    @nonexhaustive
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
    @nonexhaustive
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

/// Addresses that no range opens: each is refused unless it is listed by itself.
enum SpecialAddresses {
    /// Addresses at which a cloud hands credentials and machine data to whoever asks from inside, and which lie outside
    /// the link-local ranges. From the providers' documentation:
    static let metadata: [IPPrefix] = [
        // Alibaba Cloud ECS instance metadata, over IPv4 and IPv6.
        v4(100, 100, 100, 200), v6(0xFD00_0100_0000_0000, 0x0000_0000_0100_0200),
        // Azure's host agent and WireServer ("What is IP address 168.63.129.16?").
        v4(168, 63, 129, 16),
        // Oracle Cloud Infrastructure Classic; its successor over IPv6.
        v4(192, 0, 0, 192), v6(0xFD00_00C1_0000_0000, 0x0000_0000_A9FE_A9FE),
        // AWS: EC2 metadata at fd00:ec2::254, EKS pod identity at ::23, resolver and clock. All of fd00:ec2::/32 is
        // taken by its services on the instance.
        v6(0xFD00_0EC2_0000_0000, 0, length: 32),
        // Google Cloud, instances with IPv6 only.
        v6(0xFD20_00CE_0000_0000, 0x0254),
        // Scaleway; Akamai (Linode).
        v6(0xFD00_0042_0000_0000, 0x0042), v6(0xFD00_A9FE_A9FE_0000, 0x0001),
    ]

    /// 169.254.169.254 (AWS, Azure, Google, Oracle, OpenStack, …), 169.254.170.2 and .23 (AWS ECS and EKS),
    /// 169.254.0.23 (Tencent), 169.254.42.42 (Scaleway), fe80::a9fe:a9fe (OpenStack). Link-local and refused as such
    /// anyway; named so that the log says what was really asked for.
    static let linkLocalMetadata: [IPPrefix] = [
        v4(169, 254, 169, 254), v4(169, 254, 170, 2), v4(169, 254, 170, 23), v4(169, 254, 0, 23), v4(169, 254, 42, 42),
        v6(0xFE80_0000_0000_0000, 0xA9FE_A9FE),
    ]

    /// What is special about `address`, looked at as it stands; `nil` for an ordinary one.
    static func refusal(of address: IPAddress) -> UpstreamPolicy.Refusal? {
        for prefix in metadata where prefix.contains(address) { return .metadata }
        for prefix in linkLocalMetadata where prefix.contains(address) { return .metadata }
        if let value = address.v4 {
            if value >> 24 == 0 { return .unspecified }  // "this network", RFC 791 §3.2; Linux dials itself at 0.0.0.0
            if value >> 16 == 0xA9FE { return .linkLocal }  // 169.254.0.0/16, RFC 3927 §2.1
            if value >> 28 == 0xE { return .multicast }  // 224.0.0.0/4, RFC 1112 §4
            if value == .max { return .broadcast }  // RFC 919 §7
            return nil
        }
        if address.isUnspecified { return .unspecified }  // RFC 4291 §2.5.2
        if address.high >> 54 == 0xFE80 >> 6 { return .linkLocal }  // fe80::/10, RFC 4291 §2.5.6
        if address.high >> 56 == 0xFF { return .multicast }  // ff00::/8, RFC 4291 §2.7
        return nil
    }

    /// What is allowed when nothing is configured: the private blocks of RFC 1918 §3.
    static let privateIPv4: [IPPrefix] = [
        v4(10, 0, 0, 0, length: 8), v4(172, 16, 0, 0, length: 12), v4(192, 168, 0, 0, length: 16),
    ]

    private static func v4(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, length: Int = 32) -> IPPrefix {
        IPPrefix(masking: IPAddress(v4Bytes: a, b, c, d), length: length)
    }

    private static func v6(_ high: UInt64, _ low: UInt64, length: Int = 128) -> IPPrefix {
        IPPrefix(masking: IPAddress(v6High: high, low: low), length: length)
    }
}
