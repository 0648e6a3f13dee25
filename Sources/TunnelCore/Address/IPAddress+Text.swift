extension IPAddress: CustomStringConvertible {
    /// The longest text that `description` makes: eight groups of four digits.
    static let maxDescriptionBytes = 39

    /// The canonical text: a dotted quad, or RFC 5952 for IPv6 (lower case, no leading zeros, the longest run of at
    /// least two zero groups as `::`, the first of equals).
    ///
    /// The mixed form of RFC 5952 §5 is used for mapped addresses only (`::ffff:10.0.0.1`).
    public var description: String {
        String(unsafeUninitializedCapacity: Self.maxDescriptionBytes) { room in
            writeText(to: UnsafeMutableRawBufferPointer(room))
        }
    }

    /// Appends the canonical text without making a String.
    func append(to buffer: inout ByteBuffer) {
        _ = buffer.append(atMost: Self.maxDescriptionBytes) { writeText(to: $0) }
    }

    /// Writes the canonical text to the front of `room`, which holds at least `maxDescriptionBytes`.
    func writeText(to room: UnsafeMutableRawBufferPointer) -> Int {
        var end = 0
        guard !isIPv4 else {
            writeQuad(UInt32(truncatingIfNeeded: low), to: room, at: &end)
            return end
        }
        let isMapped = high == 0 && low >> 32 == 0xFFFF
        let groups = isMapped ? 6 : 8
        let run = longestZeroRun(of: groups)
        var index = 0
        while index < groups {
            if index == run.lowerBound, !run.isEmpty {
                write(UInt8(ascii: ":"), to: room, at: &end)
                if index == 0 { write(UInt8(ascii: ":"), to: room, at: &end) }
                index = run.upperBound
                continue
            }
            writeHex(group(index), to: room, at: &end)
            index += 1
            if index < groups || isMapped { write(UInt8(ascii: ":"), to: room, at: &end) }
        }
        if isMapped { writeQuad(UInt32(truncatingIfNeeded: low), to: room, at: &end) }
        return end
    }

    /// The first longest run of two or more zero groups; empty when there is none (RFC 5952 §4.2).
    private func longestZeroRun(of groups: Int) -> Range<Int> {
        var best = 0..<0, start = 0
        for index in 0...groups {
            if index < groups, group(index) == 0 { continue }
            if index - start > max(best.count, 1) { best = start..<index }
            start = index + 1
        }
        return best
    }
}

private func write(_ byte: UInt8, to room: UnsafeMutableRawBufferPointer, at end: inout Int) {
    room[end] = byte
    end += 1
}

private func writeQuad(_ value: UInt32, to room: UnsafeMutableRawBufferPointer, at end: inout Int) {
    var shift: UInt32 = 32
    while shift > 0 {
        shift -= 8
        let octet = UInt8(truncatingIfNeeded: value >> shift)
        if octet >= 100 { write(octet / 100 + 0x30, to: room, at: &end) }
        if octet >= 10 { write(octet / 10 % 10 + 0x30, to: room, at: &end) }
        write(octet % 10 + 0x30, to: room, at: &end)
        if shift > 0 { write(UInt8(ascii: "."), to: room, at: &end) }
    }
}

private func writeHex(_ group: UInt16, to room: UnsafeMutableRawBufferPointer, at end: inout Int) {
    var shift: UInt16 = 12
    while shift > 0, group >> shift == 0 { shift -= 4 }
    while true {
        let digit = UInt8(truncatingIfNeeded: group >> shift & 15)
        write(digit < 10 ? digit + 0x30 : digit + 0x57, to: room, at: &end)
        if shift == 0 { return }
        shift -= 4
    }
}

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
