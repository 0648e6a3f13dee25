/// A set of ASCII bytes as 128 bits: membership is a shift, and the constants need no table in memory.
struct HTTPByteSet: Sendable {
    private let low: UInt64
    private let high: UInt64

    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        let word = byte & 0x40 == 0 ? low : high
        return byte < 0x80 && (word >> UInt64(byte & 0x3F)) & 1 == 1
    }

    /// All small letters and "-" are in it; all capital letters too.
    @inline(__always)
    var holdsNames: Bool { high & 0x07FF_FFFE_0000_0000 == 0x07FF_FFFE_0000_0000 && contains(HTTPByte.hyphen) }
    @inline(__always)
    var holdsCapitals: Bool { high & 0x07FF_FFFE == 0x07FF_FFFE }

    /// `tchar`: the bytes of methods, field names and options (RFC 9110 §5.6.2).
    @inline(__always)
    static var token: HTTPByteSet { HTTPByteSet(low: 0x03FF_6CFA_0000_0000, high: 0x57FF_FFFF_C7FF_FFFE) }

    /// The same without capital letters, as field names are in HTTP/2 (RFC 9113 §8.2.1).
    @inline(__always)
    static var smallToken: HTTPByteSet { HTTPByteSet(low: 0x03FF_6CFA_0000_0000, high: 0x57FF_FFFF_C000_0000) }

    /// What a request target may hold: every visible ASCII byte but "#". RFC 3986 allows fewer; those it leaves out are
    /// common in the wild and mean the same to everybody.
    @inline(__always)
    static var target: HTTPByteSet { HTTPByteSet(low: 0xFFFF_FFF6_0000_0000, high: 0x7FFF_FFFF_FFFF_FFFF) }

    /// `unreserved` of RFC 3986 §2.3: the bytes of a host name.
    @inline(__always)
    static var hostName: HTTPByteSet { HTTPByteSet(low: 0x03FF_6000_0000_0000, high: 0x47FF_FFFE_87FF_FFFE) }
}

/// Eight bytes looked at as one number.
enum ByteWord {
    /// Makes capital letters small.
    @inline(__always)
    static func small(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101, high: UInt64 = 0x8080_8080_8080_8080
        let low = word & ~high
        let isFromA = low &+ ones &* (0x80 - 0x41)
        let isAboveZ = low &+ ones &* (0x80 - 0x5B)
        return word | (isFromA & ~isAboveZ & ~word & high) &>> 2
    }

    /// Sets the high bit of each byte that is a capital letter.
    @inline(__always)
    static func capitals(_ word: UInt64) -> UInt64 { (small(word) ^ word) &<< 2 }

    /// Sets the high bit of each byte that is neither an ASCII letter nor "-".
    @inline(__always)
    static func others(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101, high: UInt64 = 0x8080_8080_8080_8080
        // Without their high bits, bytes can be added to without a carry into the next one.
        let low = (word | ones &* 0x20) & ~high
        let isBelowA = ~(low &+ ones &* (0x80 - 0x61))
        let isAboveZ = low &+ ones &* (0x80 - 0x7B)
        let isNotHyphen = ((word ^ ones &* 0x2D) & ~high) &+ ones &* 0x7F
        return ((isBelowA | isAboveZ) & isNotHyphen | word) & high
    }
}

/// Names for the bytes that delimit (RFC 9110 §5.6, RFC 9112 §2.2).
enum HTTPByte {
    static let tab: UInt8 = 0x09
    static let lineFeed: UInt8 = 0x0A
    static let carriageReturn: UInt8 = 0x0D
    static let space: UInt8 = 0x20
    static let quote: UInt8 = 0x22
    static let asterisk: UInt8 = 0x2A
    static let comma: UInt8 = 0x2C
    static let hyphen: UInt8 = 0x2D
    static let slash: UInt8 = 0x2F
    static let colon: UInt8 = 0x3A
    static let semicolon: UInt8 = 0x3B
    static let equals: UInt8 = 0x3D
    static let question: UInt8 = 0x3F
    static let backslash: UInt8 = 0x5C
    static let delete: UInt8 = 0x7F
}

/// HTTP's grammar for texts that we make or that a configuration holds; bytes of a peer go through the parsers.
package enum HTTPToken {
    /// `token` (RFC 9110 §5.6.2): a method, a field name, a protocol.
    package static func isToken(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { HTTPByteSet.token.contains($0) }
    }

    package static func isToken(_ byte: UInt8) -> Bool { HTTPByteSet.token.contains(byte) }

    /// Whether the text can stand in a field line without ending it (RFC 9110 §5.5). May be empty.
    package static func isFieldValue(_ text: some StringProtocol) -> Bool {
        text.utf8.allSatisfy { $0 >= 0x20 && $0 != HTTPByte.delete || $0 == HTTPByte.tab }
    }

    /// Whether name and value can stand in a head as one field.
    package static func isField(_ field: (name: String, value: String)) -> Bool {
        isToken(field.name) && isFieldValue(field.value)
    }

    /// Whether the text can stand in a request line as its target: visible ASCII without "#" (RFC 9112 §3.2).
    package static func isTarget(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { HTTPByteSet.target.contains($0) }
    }
}

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
        let count = text.utf8CodeUnitCount
        guard range.count == count else { return false }
        precondition(range.lowerBound >= 0 && range.upperBound <= self.count)
        // SAFETY: as above for `expected`; `range` lies in the span, as was just checked, and each load in `range`.
        let expected = UnsafeRawPointer(text.utf8Start)
        return withUnsafeBytes { bytes in
            var i = 0
            // Words, the last of which may overlap the one before.
            while count - i >= 8 || i > 0 && i < count {
                i = min(i, count - 8)
                let word = bytes.loadUnaligned(fromByteOffset: range.lowerBound + i, as: UInt64.self)
                if word | 0x2020_2020_2020_2020 != expected.loadUnaligned(fromByteOffset: i, as: UInt64.self) {
                    return false
                }
                i += 8
            }
            while i < count {
                if bytes[range.lowerBound + i] | 0x20 != expected.load(fromByteOffset: i, as: UInt8.self) {
                    return false
                }
                i += 1
            }
            return true
        }
    }

    /// The bytes at the two ranges are equal but for the case of letters.
    package func equals(_ a: Range<Int>, ignoringCase b: Range<Int>) -> Bool {
        guard a.count == b.count else { return false }
        for i in 0..<a.count
        where self[a.lowerBound + i].asciiLowercase != self[b.lowerBound + i].asciiLowercase { return false }
        return true
    }

    /// The end of the token that begins at `start`: the index of the first byte in `start..<end` that is no `tchar`, or `end`.
    func tokenEnd(from start: Int, to end: Int) -> Int { self.end(of: .token, from: start, to: end) }

    /// The index of the first byte in `start..<end` that is not of `set`, or `end`.
    @inline(__always)
    func end(of set: HTTPByteSet, from start: Int, to end: Int) -> Int {
        var i = start
        // Names are letters and "-" nearly always: eight at a time, as long as they are.
        while set.holdsNames, end - i >= 8 {
            let word = self.bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self).littleEndian
            let flags = set.holdsCapitals ? ByteWord.others(word) : ByteWord.others(word) | ByteWord.capitals(word)
            if flags == 0 {
                i += 8
                continue
            }
            i += flags.trailingZeroBitCount >> 3
            if !set.contains(self[i]) { return i }
            i += 1
        }
        while i < end, set.contains(self[i]) { i += 1 }
        return i
    }

    /// `range` is not empty and holds nothing but bytes of `set`.
    @inline(__always)
    func holdsOnly(_ set: HTTPByteSet, in range: Range<Int>) -> Bool {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        return !range.isEmpty && end(of: set, from: range.lowerBound, to: range.upperBound) == range.upperBound
    }

    /// The index of the first `byte`, which is below 0x80, in `start..<end`, or `end`.
    func firstIndex(of byte: UInt8, from start: Int, to end: Int) -> Int {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let wanted = ones &* UInt64(byte)
        var i = start
        while end - i >= 8 {
            let word = UInt64(littleEndian: self.bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self))
            let other = word ^ wanted
            // As below, the lowest flag is right.
            let flags = (other &- ones) & ~other & (ones &* 0x80)
            if flags != 0 { return i + (flags.trailingZeroBitCount >> 3) }
            i += 8
        }
        while i < end, self[i] != byte { i += 1 }
        return i
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
    func firstControl(from start: Int, to end: Int) -> Int {
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

/// Walks a comma-separated field value (RFC 9110 §5.6.1), such as that of Connection or Upgrade, without copying it.
///
/// Empty elements are skipped, as a recipient must. Quoted strings are not understood: the lists that we read hold
/// tokens only.
package struct TokenList: Sendable {
    private var position: Int
    private let end: Int
    /// Elements met so far, empty ones too.
    package private(set) var count = 0

    package init(_ value: Range<Int>) {
        position = value.lowerBound
        end = value.upperBound
    }

    /// The next element that is not empty, without white space around it.
    package mutating func next(in bytes: Span<UInt8>) -> Range<Int>? {
        while position < end {
            let comma = bytes.firstIndex(of: HTTPByte.comma, from: position, to: end)
            let element = bytes.trimmed(position..<comma)
            position = comma + 1
            count += 1
            if !element.isEmpty { return element }
        }
        return nil
    }

    /// Whether the list at `value` has the element `token` (lower case), in any case.
    package static func contains(_ token: StaticString, in value: Range<Int>, of bytes: Span<UInt8>) -> Bool {
        var list = TokenList(value)
        while let element = list.next(in: bytes) {
            if bytes.matches(element, ignoringCase: token) { return true }
        }
        return false
    }
}
