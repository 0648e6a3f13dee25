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
