/// The 16 bytes that name a trace (W3C Trace Context §3.2.2.3), as two numbers in network order. Not zero.
package struct TraceID: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    /// - Returns: `nil` for zero, which names no trace.
    package init?(high: UInt64, low: UInt64) {
        guard high | low != 0 else { return nil }
        (self.high, self.low) = (high, low)
    }

    /// The id in network order.
    package var bytes: InlineArray<16, UInt8> {
        InlineArray { index in
            let half = index < 8 ? high : low
            return UInt8(truncatingIfNeeded: half >> UInt64(56 - 8 * (index & 7)))
        }
    }

    /// 32 hexadecimal digits in lower case.
    package var text: HexText { HexText(high, low) }
}

/// The 8 bytes that name a span, an operation of a trace (W3C Trace Context §3.2.2.4). Not zero.
package struct SpanID: Hashable, Sendable {
    package let value: UInt64

    /// - Returns: `nil` for zero, which names no span.
    package init?(_ value: UInt64) {
        guard value != 0 else { return nil }
        self.value = value
    }

    /// 16 hexadecimal digits in lower case.
    package var text: HexText { HexText(value) }
}

/// One or two numbers in hexadecimal digits, 16 for each, without an allocation.
package struct HexText: Sendable {
    // Eight digits each, the first one in the lowest byte in memory.
    private let words: (UInt64, UInt64, UInt64, UInt64)
    private let count: Int

    package init(_ number: UInt64) {
        (words, count) = ((Self.digits(number >> 32), Self.digits(number), 0, 0), 16)
    }

    package init(_ first: UInt64, _ second: UInt64) {
        words = (Self.digits(first >> 32), Self.digits(first), Self.digits(second >> 32), Self.digits(second))
        count = 32
    }

    package func withBytes<R>(_ body: (Span<UInt8>) -> R) -> R {
        // A tuple of integers of one kind has no gaps.
        withUnsafeBytes(of: words) { body($0.bindMemory(to: UInt8.self).span.extracting(0..<count)) }
    }

    /// The digits of the lower half, all eight at once.
    private static func digits(_ number: UInt64) -> UInt64 {
        var digits = number & 0xFFFF_FFFF
        digits = (digits << 16 | digits) & 0x0000_FFFF_0000_FFFF
        digits = (digits << 8 | digits) & 0x00FF_00FF_00FF_00FF
        digits = (digits << 4 | digits) & 0x0F0F_0F0F_0F0F_0F0F
        // One in each byte that holds a letter.
        let letters = (digits &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return (digits &+ 0x3030_3030_3030_3030 &+ letters &* 0x27).bigEndian
    }
}

extension ByteBuffer {
    package mutating func append(_ text: HexText) { text.withBytes { append($0) } }
}

extension LogLine {
    package mutating func field(_ key: StaticString, _ text: HexText) { text.withBytes { field(key, $0) } }
}
