/// A set of ASCII bytes as 128 bits: membership is a shift, and the constants need no table in memory.
package struct HTTPByteSet: Sendable {
    private let low: UInt64
    private let high: UInt64

    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        let word = byte & 0x40 == 0 ? low : high
        return byte < 0x80 && (word >> UInt64(byte & 0x3F)) & 1 == 1
    }

    /// `tchar`: the bytes of methods, field names and options (RFC 9110 §5.6.2).
    @inline(__always)
    package static var token: HTTPByteSet { HTTPByteSet(low: 0x03FF_6CFA_0000_0000, high: 0x57FF_FFFF_C7FF_FFFE) }

    /// What a request target may hold: every visible ASCII byte but "#". RFC 3986 allows fewer; those it leaves out are
    /// common in the wild and mean the same to everybody.
    @inline(__always)
    package static var target: HTTPByteSet { HTTPByteSet(low: 0xFFFF_FFF6_0000_0000, high: 0x7FFF_FFFF_FFFF_FFFF) }

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
    static let asterisk: UInt8 = 0x2A
    static let comma: UInt8 = 0x2C
    static let slash: UInt8 = 0x2F
    static let colon: UInt8 = 0x3A
    static let semicolon: UInt8 = 0x3B
    static let question: UInt8 = 0x3F
    static let delete: UInt8 = 0x7F

    /// The value of a decimal digit, or `nil`.
    @inline(__always)
    static func decimal(_ byte: UInt8) -> UInt8? {
        let value = byte &- 0x30
        return value < 10 ? value : nil
    }

    /// The value of a hexadecimal digit, or `nil`.
    @inline(__always)
    static func hexadecimal(_ byte: UInt8) -> UInt8? {
        if let value = decimal(byte) { return value }
        let value = (byte | 0x20) &- 0x61
        return value < 6 ? value + 10 : nil
    }
}
