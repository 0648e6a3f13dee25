/// The host of a `Host` field or a route key in the one form under which hosts are compared.
///
/// Lower case (ASCII only; an internationalised name travels as `xn--`), without port and without the trailing dot of a
/// rooted name. An IPv6 literal is its RFC 5952 text in brackets, so `[0:0::1]` and `[::1]` are the same host.
enum HostName {
    /// The longest host: RFC 1035 §2.3.4 allows 255 bytes on the wire, which is less in text.
    static let maxBytes = 255

    /// Writes the normal form of `host`, as it stands in a `Host` field (RFC 9110 §7.2: `uri-host [ ":" port ]`), to
    /// `room`, which has at least `maxBytes`. Allocates nothing.
    ///
    /// - Returns: the number of bytes; `nil` for an empty or over-long host, a port that is no port, a bad IPv6 literal.
    ///   The bytes of a name are not looked at: what is no host name matches no route.
    static func normalise(_ host: Span<UInt8>, into room: UnsafeMutableRawBufferPointer) -> Int? {
        if host.count > 0, host[0] == UInt8(ascii: "[") { return normaliseLiteral(host, into: room) }
        var end = 0
        while end < host.count, host[end] != UInt8(ascii: ":") { end += 1 }
        guard isPort(host, from: end) else { return nil }
        if end > 0, host[end - 1] == UInt8(ascii: ".") { end -= 1 }
        guard end > 0, end <= maxBytes else { return nil }
        for index in 0..<end { room[index] = lowercased(host[index]) }
        return end
    }

    private static func normaliseLiteral(_ host: Span<UInt8>, into room: UnsafeMutableRawBufferPointer) -> Int? {
        var end = 1
        while end < host.count, host[end] != UInt8(ascii: "]") { end += 1 }
        guard end < host.count, isPort(host, from: end + 1) else { return nil }
        guard let address = IPAddress(host.extracting(1..<end)), !address.isIPv4 else { return nil }
        room[0] = UInt8(ascii: "[")
        let count = address.writeText(to: UnsafeMutableRawBufferPointer(rebasing: room[1...]))
        room[count + 1] = UInt8(ascii: "]")
        return count + 2
    }

    /// Whether `host` from `start` on is nothing or a colon and a port: `*DIGIT` (RFC 3986 §3.2.3), at most 65535.
    private static func isPort(_ host: Span<UInt8>, from start: Int) -> Bool {
        guard start < host.count else { return true }
        guard host[start] == UInt8(ascii: ":") else { return false }
        var port: UInt32 = 0
        for index in start + 1..<host.count {
            guard host[index] >= UInt8(ascii: "0"), host[index] <= UInt8(ascii: "9") else { return false }
            port = port * 10 + UInt32(host[index] - UInt8(ascii: "0"))
            guard port <= 65_535 else { return false }
        }
        return true
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }
}
