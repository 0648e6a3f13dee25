/// Writes bytes of unknown origin into a line of the log such that the line stays one line, and one event one line.
///
/// Everything that is not printable is escaped: control characters, the line separators of Unicode, invisible and
/// direction-changing characters (with which a terminal can be made to show other text than there is), and bytes that
/// are not UTF-8. What a peer sends can therefore neither end a line nor begin another.
package enum EscapedText {
    package enum Style {
        /// Inside the quotes of a text line: Go's escapes (`\n`, `\x1b`, `\u202e`).
        case quoted
        /// A message in a text line: as `quoted`, but quotes and backslashes stay as they are.
        case message
        /// Inside the quotes of a JSON string. A byte that is not UTF-8 becomes U+FFFD.
        case json
    }

    /// Whether `bytes` may stand in a text line as they are: not empty, printable ASCII, no space, quote or `=`.
    static func isBare(_ bytes: Span<UInt8>) -> Bool {
        guard bytes.count > 0 else { return false }
        return bytes.withUnsafeBytes { bytes in
            var index = 0
            // Eight at a time: every line of the log comes through here, with a host and a path in it.
            while index + 8 <= bytes.count {
                let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                if holdsMarked(word) { return false }
                index += 8
            }
            guard index < bytes.count else { return true }
            // The rest: with bytes before it that were looked at already, or in front of some that are plain.
            if index > 0 {
                return !holdsMarked(bytes.loadUnaligned(fromByteOffset: bytes.count - 8, as: UInt64.self))
            }
            var word: UInt64 = 0x6161_6161_6161_6161
            for offset in index..<bytes.count { word = word << 8 | UInt64(bytes[offset]) }
            return !holdsMarked(word)
        }
    }

    /// Whether one of the eight bytes is a space, a quote, `=` or not printable ASCII.
    private static func holdsMarked(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101, high: UInt64 = 0x8080_8080_8080_8080
        // A byte is below n if it borrows from its high bit, where that was not set before. A borrow that comes out of a
        // byte below can only make a byte beside a marked one look marked as well.
        func below(_ word: UInt64, _ n: UInt64) -> UInt64 { (word &- ones &* n) & ~word & high }
        let notASCII = word & high
        let control = below(word, 0x21)
        let quote = below(word ^ ones &* 0x22, 1)
        let equals = below(word ^ ones &* 0x3D, 1)
        let delete = below(word ^ ones &* 0x7F, 1)
        return notASCII | control | quote | equals | delete != 0
    }

    /// Whether one of the eight bytes is a quote, a backslash or not printable ASCII; sometimes also when one is beside such.
    private static func holdsEscaped(_ word: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101, high: UInt64 = 0x8080_8080_8080_8080
        func below(_ word: UInt64, _ n: UInt64) -> UInt64 { (word &- ones &* n) & ~word & high }
        let delimiter = below(word ^ ones &* 0x22, 1) | below(word ^ ones &* 0x5C, 1) | below(word ^ ones &* 0x7F, 1)
        return (word & high) | below(word, 0x20) | delimiter != 0
    }

    /// Appends `bytes`, of which at most `limit` are read; `…` stands for the rest.
    package static func append(_ bytes: Span<UInt8>, _ style: Style, limit: Int, to buffer: inout ByteBuffer) {
        guard bytes.count > limit else {
            appendAll(bytes, style, to: &buffer)
            return
        }
        // Not in the middle of a character, whose first bytes would then look like bad UTF-8.
        var end = limit
        while end > 0, limit - end < 3, bytes[end] & 0xC0 == 0x80 { end -= 1 }
        appendAll(bytes.extracting(..<end), style, to: &buffer)
        buffer.append("\u{2026}" as StaticString)
    }

    private static func appendAll(_ bytes: Span<UInt8>, _ style: Style, to buffer: inout ByteBuffer) {
        var start = 0, index = 0
        // Both unsafe loads are in bounds: eight bytes are there, from `index` on or in all.
        while index < bytes.count {
            if bytes.count - index >= 8,
                !holdsEscaped(bytes.bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
            {
                index += 8
                continue
            }
            // The last eight, some of which may have been looked at already.
            if bytes.count - index < 8, bytes.count >= 8,
                !holdsEscaped(bytes.bytes.unsafeLoadUnaligned(fromByteOffset: bytes.count - 8, as: UInt64.self))
            {
                index = bytes.count
                continue
            }
            let byte = bytes[index]
            if byte >= 0x20, byte < 0x7F,
                style == .message || (byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\"))
            {
                index += 1
                continue
            }
            let scalar = byte < 0x80 ? (value: UInt32(byte), size: 1) : decodeScalar(bytes, at: index)
            if let scalar, byte >= 0x80, isPrintable(scalar.value) {
                index += scalar.size
                continue
            }
            buffer.append(bytes.extracting(start..<index))
            appendEscape(of: scalar?.value, byte: byte, style, to: &buffer)
            index += scalar?.size ?? 1
            start = index
        }
        buffer.append(bytes.extracting(start..<index))
    }

    /// Appends one escape. `scalar` is `nil` when `byte` is not UTF-8.
    private static func appendEscape(of scalar: UInt32?, byte: UInt8, _ style: Style, to buffer: inout ByteBuffer) {
        buffer.append(UInt8(ascii: "\\"))
        switch scalar {
        case UInt32(0x22), UInt32(0x5C): buffer.append(byte)
        case UInt32(0x0A): buffer.append(UInt8(ascii: "n"))
        case UInt32(0x0D): buffer.append(UInt8(ascii: "r"))
        case UInt32(0x09): buffer.append(UInt8(ascii: "t"))
        case let value? where value > 0xFFFF && style == .json:
            // RFC 8259 §7: outside the basic plane, a surrogate pair.
            let offset = value - 0x10000
            buffer.append(UInt8(ascii: "u"))
            appendHex(0xD800 + offset >> 10, digits: 4, to: &buffer)
            buffer.append("\\u" as StaticString)
            appendHex(0xDC00 + offset & 0x3FF, digits: 4, to: &buffer)
        case let value? where value > 0xFFFF:
            buffer.append(UInt8(ascii: "U"))
            appendHex(value, digits: 8, to: &buffer)
        case let value? where value >= 0x80 || style == .json:
            buffer.append(UInt8(ascii: "u"))
            appendHex(value, digits: 4, to: &buffer)
        case nil where style == .json:
            buffer.append("ufffd" as StaticString)
        default:
            buffer.append(UInt8(ascii: "x"))
            appendHex(UInt32(byte), digits: 2, to: &buffer)
        }
    }

    private static func appendHex(_ value: UInt32, digits: Int, to buffer: inout ByteBuffer) {
        for place in stride(from: digits - 1, through: 0, by: -1) {
            let digit = UInt8(truncatingIfNeeded: value >> UInt32(4 * place) & 15)
            buffer.append(digit < 10 ? digit + 0x30 : digit + 0x57)
        }
    }

    /// Whether a character beyond ASCII shows itself: no control, format, separator, private or unassigned character.
    private static func isPrintable(_ value: UInt32) -> Bool {
        guard let scalar = Unicode.Scalar(value) else { return false }
        return switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            false
        default: true
        }
    }

    /// The character at `index` and its length in bytes; `nil` when the bytes are not UTF-8 (RFC 3629 §4), be they cut,
    /// over-long, a surrogate or above U+10FFFF.
    private static func decodeScalar(_ bytes: Span<UInt8>, at index: Int) -> (value: UInt32, size: Int)? {
        let first = bytes[index]
        let size: Int, least: UInt32
        var value: UInt32
        switch first {
        case 0xC2...0xDF: (size, value, least) = (2, UInt32(first & 0x1F), 0x80)
        case 0xE0...0xEF: (size, value, least) = (3, UInt32(first & 0x0F), 0x800)
        case 0xF0...0xF4: (size, value, least) = (4, UInt32(first & 0x07), 0x1_0000)
        default: return nil
        }
        guard bytes.count - index >= size else { return nil }
        for next in index + 1..<index + size {
            guard bytes[next] & 0xC0 == 0x80 else { return nil }
            value = value << 6 | UInt32(bytes[next] & 0x3F)
        }
        guard value >= least, value <= 0x10_FFFF, value & 0xFFFF_F800 != 0xD800 else { return nil }
        return (value, size)
    }
}

/// A text from a file, in quotes for an error message: printable ASCII, and cut, as the file may hold anything.
package func quotedText(_ text: some StringProtocol) -> String {
    let limit = 64
    let cut = text.unicodeScalars.prefix(limit).map { $0.escaped(asASCII: true) }.joined()
    return "\"\(cut)\(text.unicodeScalars.dropFirst(limit).isEmpty ? "" : "...")\""
}

/// What protocols read in a byte.
extension UInt8 {
    /// The byte, an ASCII capital made small.
    var asciiLowercase: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }

    /// The value of a decimal digit, or `nil`.
    @inline(__always)
    var decimalDigit: UInt8? {
        let value = self &- 0x30
        return value < 10 ? value : nil
    }

    /// The value of a hexadecimal digit in either case, or `nil`.
    @inline(__always)
    var hexDigit: UInt8? {
        if let value = decimalDigit { return value }
        let value = (self | 0x20) &- 0x61
        return value < 6 ? value + 10 : nil
    }
}
