/// A set of ASCII bytes as 128 bits: membership is a shift, and the constants need no table in memory.
struct HTTPByteSet: Sendable {
    private let low: UInt64
    private let high: UInt64

    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        let word = byte & 0x40 == 0 ? low : high
        return byte < 0x80 && (word >> UInt64(byte & 0x3F)) & 1 == 1
    }

    /// `tchar`: the bytes of methods, field names and options (RFC 9110 §5.6.2).
    @inline(__always)
    static var token: HTTPByteSet { HTTPByteSet(low: 0x03FF_6CFA_0000_0000, high: 0x57FF_FFFF_C7FF_FFFE) }

    /// What a request target may hold: every visible ASCII byte but "#". RFC 3986 allows fewer; those it leaves out are
    /// common in the wild and mean the same to everybody.
    @inline(__always)
    static var target: HTTPByteSet { HTTPByteSet(low: 0xFFFF_FFF6_0000_0000, high: 0x7FFF_FFFF_FFFF_FFFF) }

    /// `unreserved` of RFC 3986 §2.3: the bytes of a host name.
    @inline(__always)
    static var hostName: HTTPByteSet { HTTPByteSet(low: 0x03FF_6000_0000_0000, high: 0x47FF_FFFE_87FF_FFFE) }
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
    func holdsOnly(_ set: HTTPByteSet, in range: Range<Int>) -> Bool {
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
            var comma = position
            while comma < end, bytes[comma] != HTTPByte.comma { comma += 1 }
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
