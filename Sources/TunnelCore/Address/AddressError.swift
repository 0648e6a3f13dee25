/// Why a text is not the address or range it should be. `code` for machines, `reason` and `remedy` for people.
public struct AddressError: Error, Equatable, Sendable, CustomStringConvertible {
    /// More codes may come.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

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

    static func hostBitsSet(_ address: IPAddress, length: Int, network: IPAddress) -> Self {
        Self(
            code: .hostBitsSet, reason: "\(address)/\(length) has bits set behind the prefix",
            remedy: "did you mean \(network)/\(length) (the network) or \(address) (the address alone)?")
    }
}
