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
