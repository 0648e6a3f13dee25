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
    package var text: HexText<32> { HexText(high, low) }
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
    package var text: HexText<16> { HexText(value) }
}

/// Numbers in hexadecimal digits, without an allocation.
package struct HexText<let count: Int>: Sendable {
    private let digits: InlineArray<count, UInt8>

    package init(_ first: UInt64, _ second: UInt64 = 0) {
        digits = InlineArray { index in
            let half = index < 16 ? first : second
            let digit = UInt8(truncatingIfNeeded: half >> UInt64(60 - 4 * (index & 15))) & 15
            return digit < 10 ? digit + 0x30 : digit + 0x57
        }
    }

    package func withBytes<R>(_ body: (Span<UInt8>) -> R) -> R { body(digits.span) }
}

extension ByteBuffer {
    package mutating func append<let count: Int>(_ text: HexText<count>) { text.withBytes { append($0) } }
}

extension LogLine {
    package mutating func field<let count: Int>(_ key: StaticString, _ text: HexText<count>) {
        text.withBytes { field(key, $0) }
    }
}
