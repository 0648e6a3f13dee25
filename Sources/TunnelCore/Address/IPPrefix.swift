/// A range of addresses in CIDR notation (RFC 4632 §3.1), or one address: all that begin with the same bits.
///
/// A value of this type is well formed: the length fits the family and no bit is set behind the prefix.
public struct IPPrefix: Hashable, Sendable, CustomStringConvertible {
    /// The lowest address of the range.
    public let network: IPAddress
    /// The number of leading bits that all members share: 0...32 or 0...128.
    public let length: Int

    /// The range that holds `address` alone.
    public init(_ address: IPAddress) { (network, length) = (address, address.bitWidth) }

    /// Reads `10.0.0.0/8`, `fd00::/8` or a single address.
    ///
    /// - Throws: `.notAnAddress`; `.badPrefixLength` for anything but plain decimal digits in range; `.hostBitsSet` for
    ///   `10.0.0.1/8`, where it cannot be known whether the host or the network was meant.
    public init(_ text: String) throws(AddressError) {
        guard let slash = text.firstIndex(of: "/") else {
            guard let address = IPAddress(text) else { throw .notAnAddress(text) }
            self.init(address)
            return
        }
        guard let address = IPAddress(text[..<slash]) else { throw .notAnAddress(text[..<slash]) }
        let digits = text[text.index(after: slash)...]
        guard let length = Self.parseLength(digits), length <= address.bitWidth else {
            throw .badPrefixLength(digits, of: address)
        }
        let network = address.masked(length)
        guard network == address else { throw .hostBitsSet(address, length: length, network: network) }
        self.init(masking: network, length: length)
    }

    /// The range of `length` bits around `address`; `length` is at most the address's width.
    package init(masking address: IPAddress, length: Int) { (network, self.length) = (address.masked(length), length) }

    /// Whether the range holds exactly one address.
    public var isSingle: Bool { length == network.bitWidth }

    /// Whether `address` is in the range. The families never mix: `::/0` holds no IPv4 address and no range of IPv4
    /// holds a mapped one.
    public func contains(_ address: IPAddress) -> Bool {
        address.isIPv4 == network.isIPv4 && address.masked(length) == network
    }

    /// A range of mapped addresses (`::ffff:10.0.0.0/104`) as the range of IPv4 that it is; every other one unchanged.
    var unmapped: IPPrefix {
        guard length >= 96, let embedded = network.embeddedIPv4, embedded.form == .mapped else { return self }
        return IPPrefix(masking: embedded.address, length: length - 96)
    }

    /// The canonical text; a single address has no length.
    public var description: String { isSingle ? "\(network)" : "\(network)/\(length)" }

    /// Up to three digits without leading zeros; the range is checked by the caller.
    private static func parseLength(_ text: Substring) -> Int? {
        guard (1...3).contains(text.utf8.count), text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        guard text.utf8.count == 1 || !text.hasPrefix("0") else { return nil }
        return Int(text)
    }
}

extension IPAddress {
    /// The address with all but its first `length` bits cleared; `length` is at most `bitWidth`.
    func masked(_ length: Int) -> IPAddress {
        // Swift's smart shifts give 0 for a shift by the whole width, which is what a length of 0 needs.
        if isIPv4 { return IPAddress(v4: UInt32(truncatingIfNeeded: low) & (UInt32.max << (32 - length))) }
        return IPAddress(
            v6High: high & (length >= 64 ? .max : UInt64.max << (64 - length)),
            low: low & (length <= 64 ? 0 : UInt64.max << (128 - length)))
    }
}
