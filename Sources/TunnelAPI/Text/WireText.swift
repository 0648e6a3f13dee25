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
