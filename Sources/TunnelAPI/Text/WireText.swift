internal import FoundationEssentials
internal import TunnelCore

/// The ids that the API gives to its objects, such as `tnl_01Hx9Kp2RtQvMn3sWbYdLcF8`. They stand in paths, so one that
/// comes from outside is looked at first.
enum ResourceID {
    static let maxBytes = 128

    /// Whether it consists of 1 to 128 letters, digits, `_` and `-`.
    static func isValid(_ text: String) -> Bool {
        (1...maxBytes).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }
}

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

/// Whether `text` can stand in a field `Authorization: Bearer …` (RFC 9110 §5.5, and no spaces).
func isBearerToken(_ text: String) -> Bool {
    (1...maxBearerTokenBytes).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
}

/// Longer than any token, and still a field that servers take.
let maxBearerTokenBytes = 16 * 1024

/// A token without the white space that files and shells put around it.
func trimmedToken(_ text: String) -> String {
    let scalars = text.unicodeScalars.drop { $0.properties.isWhitespace }
    guard let last = scalars.lastIndex(where: { !$0.properties.isWhitespace }) else { return "" }
    return String(scalars[...last])
}

/// `value` in JSON, its members in the order of their names. Texts cannot fail to encode.
func jsonBytes(_ value: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(value)).map { [UInt8]($0) } ?? []
}
