/// The value of Host: `uri-host [ ":" port ]` (RFC 9110 §7.2), and the name in it that routes are looked up by.
///
/// Stricter than RFC 3986 where readers could disagree: a name holds unreserved bytes only (no percent escapes and no
/// "," or ";", which no DNS name has), a literal in brackets is an IPv6 address, a port is at most 65535. User
/// information ("@") is refused.
public enum Authority {
    /// Whether `authority` is well formed and names a host.
    public static func isValid(_ authority: Span<UInt8>) -> Bool { split(authority) != nil }

    /// The host of `authority` as routes are keyed: without port, without one trailing dot, in lower case; of an IPv6
    /// literal what is between the brackets. Replaces the content of `host`, and allocates only if that is too small.
    /// Empty if `authority` is not valid.
    public static func normalizeHost(_ authority: Span<UInt8>, into host: inout [UInt8]) {
        host.removeAll(keepingCapacity: true)
        guard var range = split(authority)?.host else { return }
        if authority[range.lowerBound] == openBracket {
            range = range.lowerBound + 1..<range.upperBound - 1
        } else if authority[range.upperBound - 1] == dot {
            range = range.lowerBound..<range.upperBound - 1
        }
        authority.extracting(range).withUnsafeBufferPointer { host.append(contentsOf: $0) }
        for i in host.indices { host[i] = host[i].asciiLowercase }
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
            guard end < authority.count, isIPv6(1..<end, authority) else { return nil }
            end += 1
        } else {
            while end < authority.count, authority[end] != HTTPByte.colon { end += 1 }
            guard authority.holdsOnly(.hostName, in: 0..<end) else { return nil }
        }
        if end == authority.count { return (0..<end, nil) }
        guard authority[end] == HTTPByte.colon else { return nil }
        let port = end + 1..<authority.count
        guard port.count <= 5 else { return nil }
        var number = 0
        for i in port {
            guard let digit = HTTPByte.decimal(authority[i]) else { return nil }
            number = number * 10 + Int(digit)
        }
        return number <= 65_535 ? (0..<end, port) : nil
    }

    /// `IPv6address` of RFC 3986 §3.2.2: eight groups, or fewer around one "::", the last two perhaps as an IPv4 address.
    private static func isIPv6(_ range: Range<Int>, _ bytes: Span<UInt8>) -> Bool {
        var groups = 0
        var hasGap = false
        var i = range.lowerBound
        while i < range.upperBound {
            let isGap = i + 1 < range.upperBound && bytes[i] == HTTPByte.colon && bytes[i + 1] == HTTPByte.colon
            if isGap {
                if hasGap { return false }
                hasGap = true
                i += 2
                if i == range.upperBound { break }
            } else if groups > 0 {
                guard bytes[i] == HTTPByte.colon else { return false }
                i += 1
            }
            let start = i
            while i < range.upperBound, HTTPByte.hexadecimal(bytes[i]) != nil { i += 1 }
            if i < range.upperBound, bytes[i] == dot {
                groups += 2
                guard isIPv4(start..<range.upperBound, bytes) else { return false }
                break
            }
            guard 1...4 ~= i - start else { return false }
            groups += 1
        }
        return hasGap ? groups < 8 : groups == 8
    }

    /// Four decimal numbers up to 255, without leading zeros.
    private static func isIPv4(_ range: Range<Int>, _ bytes: Span<UInt8>) -> Bool {
        var numbers = 0
        var i = range.lowerBound
        while true {
            let start = i
            var number = 0
            while i < range.upperBound, i - start < 3, let digit = HTTPByte.decimal(bytes[i]) {
                number = number * 10 + Int(digit)
                i += 1
            }
            guard i > start, number <= 255, i - start == 1 || bytes[start] != 0x30 else { return false }
            numbers += 1
            if i == range.upperBound { return numbers == 4 }
            guard bytes[i] == dot else { return false }
            i += 1
        }
    }
}
