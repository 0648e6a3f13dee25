/// Comparing and scanning in place. Each takes a range of the whole span, so nothing is copied out.
extension Span where Element == UInt8 {
    /// The bytes at `range` are exactly `text`.
    func matches(_ range: Range<Int>, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        // SAFETY: the pointer of a StaticString covers utf8CodeUnitCount bytes, the bound of the loop.
        let expected = text.utf8Start
        for i in 0..<range.count where self[range.lowerBound + i] != expected[i] { return false }
        return true
    }

    /// The bytes at `range` are `text` in any case. `text` holds small letters, digits, "-", ":" and "/" only, and
    /// `range` no control byte: setting bit 5 then maps each letter to its small form and keeps the others apart.
    package func matches(_ range: Range<Int>, ignoringCase text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        // SAFETY: as above.
        let expected = text.utf8Start
        for i in 0..<range.count where self[range.lowerBound + i] | 0x20 != expected[i] { return false }
        return true
    }

    /// The bytes at the two ranges are equal but for the case of letters.
    package func equals(_ a: Range<Int>, ignoringCase b: Range<Int>) -> Bool {
        guard a.count == b.count else { return false }
        for i in 0..<a.count
        where self[a.lowerBound + i].asciiLowercase != self[b.lowerBound + i].asciiLowercase { return false }
        return true
    }

    /// `range` is not empty and holds nothing but bytes of `set`.
    package func holdsOnly(_ set: HTTPByteSet, in range: Range<Int>) -> Bool {
        for i in range where !set.contains(self[i]) { return false }
        return !range.isEmpty
    }

    /// `range` without the spaces and tabs at its ends (OWS, RFC 9110 §5.6.3).
    package func trimmed(_ range: Range<Int>) -> Range<Int> {
        var start = range.lowerBound
        var end = range.upperBound
        while start < end, self[start] == HTTPByte.space || self[start] == HTTPByte.tab { start += 1 }
        while start < end, self[end - 1] == HTTPByte.space || self[end - 1] == HTTPByte.tab { end -= 1 }
        return start..<end
    }

    /// The index of the first control byte other than HTAB (below 0x20, or 0x7F) in `start..<end`, or `end`.
    ///
    /// This is the one loop that sees every byte of a head, so it looks at eight at a time.
    package func firstControl(from start: Int, to end: Int) -> Int {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highBits: UInt64 = 0x8080_8080_8080_8080
        var i = start
        while i < end {
            if end - i >= 8 {
                let word = UInt64(littleEndian: self.bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self))
                let isDelete = word ^ (ones &* 0x7F)
                // A borrow leaves a wrong flag only above a right one, and only the lowest flag is read.
                let flags = ((word &- ones &* 0x20) & ~word | (isDelete &- ones) & ~isDelete) & highBits
                if flags == 0 {
                    i += 8
                    continue
                }
                i += flags.trailingZeroBitCount >> 3
            }
            let byte = self[i]
            if byte < 0x20 && byte != HTTPByte.tab || byte == HTTPByte.delete { return i }
            i += 1
        }
        return end
    }
}

extension UInt8 {
    /// The byte, an ASCII capital made small.
    var asciiLowercase: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }
}
