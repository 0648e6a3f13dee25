/// Base64 with the standard alphabet and padding (RFC 4648 §4). Our own, because keys pass through it: nothing is
/// copied that the caller cannot wipe.
enum Base64 {
    /// Why a text is not base64.
    enum Failure: Error, Equatable { case badCharacter, badPadding }

    /// Decodes `text`, which holds no white space. Padding is required, and may stand only at the end.
    static func decode(_ text: Span<UInt8>, into output: inout [UInt8]) throws(Failure) {
        guard text.count % 4 == 0 else { throw .badPadding }
        var index = 0
        while index < text.count {
            var group: UInt32 = 0
            var padding = 0
            for offset in 0..<4 {
                let character = text[index + offset]
                if character == UInt8(ascii: "=") {
                    guard index + 4 == text.count, offset >= 2 else { throw .badPadding }
                    padding += 1
                    group <<= 6
                } else {
                    guard padding == 0 else { throw .badPadding }
                    guard let value = value(of: character) else { throw .badCharacter }
                    group = group << 6 | UInt32(value)
                }
            }
            output.append(UInt8(truncatingIfNeeded: group >> 16))
            if padding < 2 { output.append(UInt8(truncatingIfNeeded: group >> 8)) }
            if padding < 1 { output.append(UInt8(truncatingIfNeeded: group)) }
            index += 4
        }
    }

    /// Encodes `bytes` in lines of 64 characters, each ended by a line feed, as PEM wants them (RFC 7468 §2).
    static func encodeLines(_ bytes: [UInt8], into output: inout [UInt8]) {
        let alphabet = Self.alphabet
        var column = 0
        var index = 0
        while index < bytes.count {
            let left = min(3, bytes.count - index)
            var group = UInt32(bytes[index]) << 16
            if left > 1 { group |= UInt32(bytes[index + 1]) << 8 }
            if left > 2 { group |= UInt32(bytes[index + 2]) }
            for offset in 0..<4 {
                let character = alphabet[Int(group >> UInt32(18 - 6 * offset) & 63)]
                output.append(offset <= left ? character : UInt8(ascii: "="))
            }
            index += left
            column += 4
            if column == 64 {
                output.append(UInt8(ascii: "\n"))
                column = 0
            }
        }
        if column > 0 { output.append(UInt8(ascii: "\n")) }
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func value(of character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
