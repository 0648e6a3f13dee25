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
        guard network == address else { throw .hostBitsSet(text, address, length: length, network: network) }
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

/// Why a text is not the address or range it should be. `code` for machines, `reason` and `remedy` for people.
public struct AddressError: Error, Equatable, Sendable, CustomStringConvertible {
    /// More codes may come.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public var description: String { rawValue }

        public static let notAnAddress = Code(rawValue: "notAnAddress")
        public static let badPrefixLength = Code(rawValue: "badPrefixLength")
        public static let hostBitsSet = Code(rawValue: "hostBitsSet")
    }

    public let code: Code
    /// What is wrong, with the text in quotes.
    public let reason: String
    /// What to write instead.
    public let remedy: String

    public var description: String { "\(reason); \(remedy)" }

    /// Equality is by code, so that tests compare causes, not prose.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code }

    /// Says why `text` is no address, as far as the usual slips go.
    static func notAnAddress(_ text: some StringProtocol) -> Self {
        let quoted = quotedText(text)
        func error(_ reason: String, _ remedy: String) -> Self {
            Self(code: .notAnAddress, reason: "\(quoted) \(reason)", remedy: remedy)
        }
        if text.isEmpty { return error("is empty", "write an address such as 10.0.0.1 or a range such as 10.0.0.0/8") }
        if text.utf8.contains(UInt8(ascii: "%")) {
            return error("has a zone", "write the address without % and what follows")
        }
        if text.hasPrefix("[") { return error("is in brackets", "write the address without brackets and port") }
        let isNumeric = text.utf8.allSatisfy { $0 == UInt8(ascii: ".") || ($0 >= 0x30 && $0 <= 0x39) }
        if isNumeric {
            let octets = text.split(separator: ".", omittingEmptySubsequences: false)
            if octets.count != 4 { return error("does not have four octets", "write all four, as in 10.0.0.0") }
            if let octet = octets.first(where: { $0.count > 1 && $0.hasPrefix("0") }) {
                return error(
                    "has leading zeros in \(quotedText(octet)), which some programs read as octal",
                    "write it without them")
            }
            return error("has an octet that is not 0 to 255", "write four numbers from 0 to 255")
        }
        return error("is not an IP address", "write an IPv4 or IPv6 address; names and address lists are not accepted")
    }

    static func badPrefixLength(_ length: some StringProtocol, of address: IPAddress) -> Self {
        let reason = "\(quotedText(length)) is not a prefix length"
        if let mask = IPAddress(length)?.v4, address.isIPv4 {
            let ones = (~mask).leadingZeroBitCount
            if ones == 32 || mask << UInt32(ones) == 0 {
                return Self(
                    code: .badPrefixLength, reason: "\(reason) but a netmask",
                    remedy: "did you mean \(address)/\(ones)?")
            }
        }
        return Self(
            code: .badPrefixLength, reason: reason,
            remedy: "write a number from 0 to \(address.bitWidth) after the slash, or the address alone")
    }

    /// - Parameter text: the range as it was written, which may be another spelling than ours.
    static func hostBitsSet(_ text: String, _ address: IPAddress, length: Int, network: IPAddress) -> Self {
        Self(
            code: .hostBitsSet, reason: "\(text) has bits set behind the prefix",
            remedy: "did you mean \(network)/\(length) (the network) or \(address) (the address alone)?")
    }
}
