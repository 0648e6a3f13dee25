/// The value of Host: `uri-host [ ":" port ]` (RFC 9110 §7.2), and the name in it that routes are looked up by.
///
/// Stricter than RFC 3986 where readers could disagree: a name holds unreserved bytes only (no percent escapes and no
/// "," or ";", which no DNS name has), a literal in brackets is an IPv6 address, a port is at most 65535. User
/// information ("@") is refused.
public enum Authority {
    /// Whether `authority` is well formed and names a host.
    public static func isValid(_ authority: Span<UInt8>) -> Bool { split(authority) != nil }

    /// The longest host: RFC 1035 §2.3.4 allows 255 bytes on the wire, which is less in text.
    package static let maxHostBytes = 255

    /// The host of `authority` in the one form in which hosts are compared: lower case, without port, without one
    /// trailing dot; an IPv6 literal without its brackets, in the text of RFC 5952. Replaces the content of `host`, and
    /// allocates only if that is too small. Empty if `authority` is not valid or its host longer than 255 bytes.
    public static func normalizeHost(_ authority: Span<UInt8>, into host: inout [UInt8]) {
        host.removeAll(keepingCapacity: true)
        withUnsafeTemporaryAllocation(byteCount: maxHostBytes, alignment: 8) { room in
            guard let count = writeHost(of: authority, to: room) else { return }
            let isLiteral = room[0] == openBracket
            host.append(contentsOf: room[isLiteral ? 1..<count - 1 : 0..<count])
        }
    }

    /// Writes the host of `authority` as routes are keyed, which is as above, an IPv6 literal in brackets, to `room` of at
    /// least `maxHostBytes`. Allocates nothing.
    ///
    /// - Returns: the number of bytes; `nil` if `authority` is not valid or holds no host.
    package static func writeHost(of authority: Span<UInt8>, to room: UnsafeMutableRawBufferPointer) -> Int? {
        guard let host = split(authority)?.host else { return nil }
        if authority[host.lowerBound] == openBracket {
            guard let address = IPAddress(authority.extracting(host.lowerBound + 1..<host.upperBound - 1)) else {
                return nil
            }
            room[0] = openBracket
            let count = address.writeText(to: UnsafeMutableRawBufferPointer(rebasing: room[1...]))
            room[count + 1] = closeBracket
            return count + 2
        }
        let count = authority[host.upperBound - 1] == dot ? host.count - 1 : host.count
        guard count > 0, count <= maxHostBytes else { return nil }
        for i in 0..<count { room[i] = authority[i].asciiLowercase }
        return count
    }

    /// The same as a new string.
    public static func normalizedHost(_ authority: Span<UInt8>) -> String {
        var host: [UInt8] = []
        normalizeHost(authority, into: &host)
        return String(decoding: host, as: UTF8.self)
    }

    private static let openBracket: UInt8 = 0x5B
    private static let closeBracket: UInt8 = 0x5D
    private static let dot: UInt8 = 0x2E

    /// Splits `authority` into the host, brackets included, and the port, which may be absent or empty. `nil` if it is
    /// malformed or the host is empty.
    package static func split(_ authority: Span<UInt8>) -> (host: Range<Int>, port: Range<Int>?)? {
        var end = 0
        if authority.count > 0, authority[0] == openBracket {
            while end < authority.count, authority[end] != closeBracket { end += 1 }
            guard end < authority.count, IPAddress(authority.extracting(1..<end))?.isIPv4 == false else { return nil }
            end += 1
        } else {
            end = authority.firstIndex(of: HTTPByte.colon, from: 0, to: authority.count)
            guard authority.holdsOnly(.hostName, in: 0..<end) else { return nil }
        }
        if end == authority.count { return (0..<end, nil) }
        guard authority[end] == HTTPByte.colon else { return nil }
        let port = end + 1..<authority.count
        guard port.count <= 5 else { return nil }
        var number = 0
        for i in port {
            guard let digit = authority[i].decimalDigit else { return nil }
            number = number * 10 + Int(digit)
        }
        return number <= 65_535 ? (0..<end, port) : nil
    }
}
