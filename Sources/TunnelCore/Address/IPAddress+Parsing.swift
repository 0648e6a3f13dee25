extension IPAddress {
    /// The longest text of an address: six groups of four digits and a dotted quad, with their separators.
    static let maxTextBytes = 45

    /// Reads an address from text, strictly; `nil` for everything else.
    ///
    /// IPv4 is four decimal octets without leading zeros (RFC 6943 §3.1.1's strict form), so the octal, hexadecimal and
    /// short forms that `inet_aton` takes (`0177.0.0.1`, `0x7f.1`, `127.1`, `2130706433`) are refused: two readers of
    /// such a text may dial two machines. IPv6 is any form of RFC 4291 §2.2, in any case, with `::` once and with an
    /// embedded dotted quad. Zones, brackets, ports and white space are refused.
    public init?(_ text: Span<UInt8>) {
        guard text.count <= Self.maxTextBytes else { return nil }
        var hasColon = false
        for index in text.indices where text[index] == UInt8(ascii: ":") { hasColon = true }
        if hasColon {
            self.init(v6Text: text)
        } else {
            guard let value = parseDottedQuad(text, from: 0) else { return nil }
            self.init(v4: value)
        }
    }

    /// Reads an address from text, strictly; see `init(_: Span<UInt8>)`.
    public init?(_ text: some StringProtocol) {
        // Not `withUTF8`: a Substring is only read, and the text is short.
        let bytes = Array(text.utf8.prefix(Self.maxTextBytes + 1))
        self.init(bytes.span)
    }

    private init?(v6Text text: Span<UInt8>) {
        var groups = InlineArray<8, UInt16>(repeating: 0)
        // Groups read so far, and how many of them stand before `::`.
        var count = 0, gap: Int?
        var index = 0
        if text.count >= 2, text[0] == UInt8(ascii: ":"), text[1] == UInt8(ascii: ":") { (gap, index) = (0, 2) }
        while index < text.count {
            guard count < 8 else { return nil }
            let start = index
            var value: UInt16 = 0
            while index < text.count, let digit = text[index].hexDigit {
                guard index - start < 4 else { return nil }
                value = value << 4 | UInt16(digit)
                index += 1
            }
            if index < text.count, text[index] == UInt8(ascii: ".") {
                guard count <= 6, let quad = parseDottedQuad(text, from: start) else { return nil }
                groups[count] = UInt16(truncatingIfNeeded: quad >> 16)
                groups[count + 1] = UInt16(truncatingIfNeeded: quad)
                count += 2
                break
            }
            guard index > start else { return nil }
            groups[count] = value
            count += 1
            guard index < text.count else { break }
            guard text[index] == UInt8(ascii: ":"), index + 1 < text.count else { return nil }
            index += 1
            if text[index] == UInt8(ascii: ":") {
                guard gap == nil else { return nil }
                gap = count
                index += 1
            }
        }
        // `::` stands for at least one group (RFC 4291 §2.2).
        guard gap == nil ? count == 8 : count < 8 else { return nil }
        let before = gap ?? 8
        var value: UInt128 = 0
        for place in 0..<8 {
            let source = place < before ? place : place - (8 - count)
            value = value << 16 | (place < before || source >= before ? UInt128(groups[source]) : 0)
        }
        self.init(v6High: UInt64(truncatingIfNeeded: value >> 64), low: UInt64(truncatingIfNeeded: value))
    }
}

/// Reads `a.b.c.d` from `start` to the end: decimal, 0...255, no leading zeros, exactly four.
private func parseDottedQuad(_ text: Span<UInt8>, from start: Int) -> UInt32? {
    var value: UInt32 = 0, octet: UInt32 = 0
    var digits = 0, dots = 0
    for index in start..<text.count {
        let byte = text[index]
        if byte == UInt8(ascii: ".") {
            guard digits > 0, dots < 3 else { return nil }
            value = value << 8 | octet
            (octet, digits, dots) = (0, 0, dots + 1)
        } else {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            guard digits == 0 || octet != 0 else { return nil }
            octet = octet * 10 + UInt32(byte - UInt8(ascii: "0"))
            digits += 1
            guard octet <= 255 else { return nil }
        }
    }
    guard dots == 3, digits > 0 else { return nil }
    return value << 8 | octet
}
