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
