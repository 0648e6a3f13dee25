/// Percent-encoding (RFC 3986 §2.1).
package enum PercentEncoding {
    /// `text` for use as one segment of a path, or as a name or value in a query: every byte of its UTF-8 but the
    /// unreserved ones (RFC 3986 §2.3) is escaped.
    package static func encode(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default: encoded += "%\(hex(byte >> 4))\(hex(byte & 15))"
            }
        }
        return encoded
    }

    /// The bytes that `text` stands for; `nil` for a `%` without two hexadecimal digits.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var decoded: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                decoded.append(byte)
                continue
            }
            let digits = (rest.popFirst().flatMap(value), rest.popFirst().flatMap(value))
            guard let high = digits.0, let low = digits.1 else { return nil }
            decoded.append(high << 4 | low)
        }
        return decoded
    }

    private static func hex(_ value: UInt8) -> String { String(value, radix: 16, uppercase: true) }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x37
        case 0x61...0x66: digit - 0x57
        default: nil
        }
    }
}
