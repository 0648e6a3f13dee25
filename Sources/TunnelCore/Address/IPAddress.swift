/// An IPv4 or IPv6 address as a number: no text, no `sockaddr`, no zone.
///
/// An IPv4 address and the same address mapped into IPv6 (`::ffff:0:0/96`) are different values; `unwrapped` takes the
/// inner one out. Link-local zones (`%eth0`, RFC 4007) cannot be expressed: a zone means something on one machine only.
public struct IPAddress: Hashable, Sendable {
    /// Whether this is an IPv4 address; otherwise it is IPv6.
    public let isIPv4: Bool
    /// The upper 64 bits of an IPv6 address; 0 for IPv4.
    let high: UInt64
    /// The lower 64 bits of an IPv6 address, or the 32 bits of an IPv4 address.
    let low: UInt64

    /// An IPv4 address from its number: `0x7F000001` is 127.0.0.1.
    public init(v4 value: UInt32) { (isIPv4, high, low) = (true, 0, UInt64(value)) }

    /// An IPv4 address from its four octets in the order they are written.
    public init(v4Bytes first: UInt8, _ second: UInt8, _ third: UInt8, _ fourth: UInt8) {
        self.init(v4: UInt32(first) << 24 | UInt32(second) << 16 | UInt32(third) << 8 | UInt32(fourth))
    }

    /// An IPv6 address from its two halves: `high` 0 and `low` 1 is `::1`.
    public init(v6High high: UInt64, low: UInt64) { (self.isIPv4, self.high, self.low) = (false, high, low) }

    /// An IPv6 address from its 16 bytes in network order, as they lie in an `in6_addr`; `nil` for another count.
    public init?(v6Bytes bytes: Span<UInt8>) {
        guard bytes.count == 16 else { return nil }
        var high: UInt64 = 0, low: UInt64 = 0
        for index in 0..<8 {
            high = high << 8 | UInt64(bytes[index])
            low = low << 8 | UInt64(bytes[index + 8])
        }
        self.init(v6High: high, low: low)
    }

    /// 32 for IPv4, 128 for IPv6.
    public var bitWidth: Int { isIPv4 ? 32 : 128 }

    /// The number of an IPv4 address in the host's byte order (`in_addr.s_addr` is its `bigEndian`); `nil` for IPv6.
    public var v4: UInt32? { isIPv4 ? UInt32(truncatingIfNeeded: low) : nil }

    /// The two halves of an IPv6 address in the host's byte order; `nil` for IPv4.
    public var v6: (high: UInt64, low: UInt64)? { isIPv4 ? nil : (high, low) }

    /// The address in network order: 4 bytes or 16. Allocates; meant for set-up and tests.
    public var bytes: [UInt8] {
        isIPv4 ? (0..<4).map { octet(12 + $0) } : (0..<16).map { octet($0) }
    }

    /// Writes the address in network order to the front of `target`, as `in_addr` and `in6_addr` want it.
    ///
    /// - Returns: the number of bytes written, 4 or 16; 0 when `target` is too small, and then nothing is written.
    package func copyBytes(to target: UnsafeMutableRawBufferPointer) -> Int {
        let count = isIPv4 ? 4 : 16
        guard target.count >= count else { return 0 }
        for index in 0..<count { target[index] = octet(16 - count + index) }
        return count
    }

    /// Byte `index` (0...15) of the address seen as 128 bits; an IPv4 address occupies the last four.
    func octet(_ index: Int) -> UInt8 {
        let half = index < 8 ? high : low
        return UInt8(truncatingIfNeeded: half >> UInt64(56 - 8 * (index & 7)))
    }

    /// Group `index` (0...7) of an IPv6 address.
    func group(_ index: Int) -> UInt16 {
        let half = index < 4 ? high : low
        return UInt16(truncatingIfNeeded: half >> UInt64(48 - 16 * (index & 3)))
    }
}

extension IPAddress {
    /// 127.0.0.0/8 (RFC 1122 §3.2.1.3) and ::1 (RFC 4291 §2.5.3).
    public var isLoopback: Bool { isIPv4 ? low >> 24 == 127 : high == 0 && low == 1 }

    /// 0.0.0.0 (RFC 1122 §3.2.1.3) and :: (RFC 4291 §2.5.2): "any address" to a listener, this host to `connect`.
    public var isUnspecified: Bool { high == 0 && low == 0 }
}
