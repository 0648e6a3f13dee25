/// What a request says of the trace that it belongs to: the field `traceparent` (W3C Trace Context, version 00).
package struct TraceContext: Equatable, Sendable {
    package var traceID: TraceID
    /// The span of whoever sent it.
    package var spanID: SpanID
    /// Bits of the flags that mean something: see ``sampled`` and ``random``.
    package var flags: UInt8

    /// The sender may have recorded it (§3.2.2.5.1).
    package static let sampled: UInt8 = 0x01
    /// The trace id was made at random (Level 2 §3.2.2.5.2).
    package static let random: UInt8 = 0x02

    /// Bytes of a `traceparent` of version 00.
    private static let length = 55

    package init(traceID: TraceID, spanID: SpanID, flags: UInt8) {
        (self.traceID, self.spanID, self.flags) = (traceID, spanID, flags)
    }

    package var isSampled: Bool { flags & Self.sampled != 0 }

    /// Reads the value of a `traceparent`, without white space around it.
    ///
    /// A version that is yet to come is read as far as version 00 goes (§4.3): what follows must begin with a `-`. Flags that mean
    /// nothing yet are dropped, as whoever passes the trace on must not set them.
    ///
    /// - Returns: `nil` for anything else; the request then has no trace.
    package init?(_ value: Span<UInt8>) {
        guard value.count >= Self.length, value[2] == HTTPByte.hyphen, value[35] == HTTPByte.hyphen,
            value[52] == HTTPByte.hyphen, let version = value.lowercaseHex(0..<2), version != 0xFF
        else { return nil }
        if value.count > Self.length {
            guard version > 0, value[Self.length] == HTTPByte.hyphen else { return nil }
        }
        guard let high = value.lowercaseHex(3..<19), let low = value.lowercaseHex(19..<35),
            let traceID = TraceID(high: high, low: low), let span = value.lowercaseHex(36..<52),
            let spanID = SpanID(span), let flags = value.lowercaseHex(53..<55)
        else { return nil }
        self.init(
            traceID: traceID, spanID: spanID,
            flags: UInt8(truncatingIfNeeded: flags) & (Self.sampled | Self.random))
    }

    /// Appends the field's line, its CRLF included.
    package func appendLine(to buffer: inout ByteBuffer) {
        buffer.append("traceparent: 00-" as StaticString)
        buffer.append(traceID.text)
        buffer.append(HTTPByte.hyphen)
        buffer.append(spanID.text)
        buffer.append("-0" as StaticString)
        buffer.append(0x30 + (flags & (Self.sampled | Self.random)))
        buffer.append("\r\n" as StaticString)
    }
}

extension Span<UInt8> {
    /// The number that the hexadecimal digits at `range` stand for, at most 16 of them; `nil` where one is no digit, or a
    /// capital (§3.2: "HEXDIGLC").
    fileprivate func lowercaseHex(_ range: Range<Int>) -> UInt64? {
        var value: UInt64 = 0
        for index in range {
            let byte = self[index]
            let digit: UInt8
            switch byte {
            case 0x30...0x39: digit = byte &- 0x30
            case 0x61...0x66: digit = byte &- 0x57
            default: return nil
            }
            value = value << 4 | UInt64(digit)
        }
        return value
    }
}
