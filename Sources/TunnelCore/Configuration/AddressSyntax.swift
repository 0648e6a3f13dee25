/// The spelling of IP addresses and host names, as far as a configuration has to judge it.
package enum AddressSyntax {
    /// An IPv4 address as `IPAddress` reads it.
    package static func isIPv4(_ text: some StringProtocol) -> Bool { IPAddress(text)?.isIPv4 == true }

    /// An IPv6 address as `IPAddress` reads it, without brackets and without a zone.
    package static func isIPv6(_ text: some StringProtocol) -> Bool { IPAddress(text)?.isIPv4 == false }

    /// Labels of letters, digits, hyphens and underscores, 63 at most each and 253 in all (RFC 1123 §2.1; underscores
    /// because container names have them). A name that ends in a number is none: resolvers read `127.1` or `0x7f.1`
    /// as an address.
    package static func isHostName(_ text: some StringProtocol) -> Bool {
        guard text.utf8.count <= 253 else { return false }
        let labels = Array(text.utf8).split(separator: 0x2E, omittingEmptySubsequences: false)
        for label in labels {
            guard (1...63).contains(label.count), label.first != 0x2D, label.last != 0x2D else { return false }
            guard label.allSatisfy({ isDigit($0) || isLetter($0) || $0 == 0x2D || $0 == 0x5F }) else { return false }
        }
        guard let last = labels.last else { return false }
        let isHexNumber = last.count > 1 && last.first == 0x30 && (last.dropFirst().first ?? 0) | 0x20 == 0x78
        return !last.allSatisfy(isDigit) && !(isHexNumber && last.dropFirst(2).allSatisfy(isHexDigit))
    }

    /// A port from 1 (0 with `allowsZero`) to 65535, in digits without leading zeros.
    package static func port(_ text: some StringProtocol, allowsZero: Bool = false) -> UInt16? {
        guard let value = number(text.utf8, upTo: 65_535), value > 0 || allowsZero else { return nil }
        return UInt16(value)
    }

    /// A decimal number without sign and leading zeros.
    package static func number(_ digits: some Collection<UInt8>, upTo limit: Int) -> Int? {
        guard (1...9).contains(digits.count), digits.allSatisfy(isDigit) else { return nil }
        guard digits.first != 0x30 || digits.count == 1 else { return nil }
        let value = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        return value <= limit ? value : nil
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte.decimalDigit != nil }
    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
    private static func isHexDigit(_ byte: UInt8) -> Bool { byte.hexDigit != nil }
}
