/// Quoted scalars (YAML 1.2.2 §7.3.1 and §7.3.2). Both return with `at` behind the closing quote.
extension YAMLReader {
    mutating func singleQuoted(minimum: Int) throws(YAMLError) -> String {
        let start = mark()
        var text = FoldedText()
        at += 1
        while at < end {
            switch current {
            case 0x27:
                at += 1
                guard current == 0x27 else { return text.string }
                text.append(0x27)
                at += 1
            case 0x0A: try fold(into: &text, minimum: minimum, escaped: false, openedAt: start)
            default:
                text.append(current)
                at += 1
            }
        }
        throw unterminated(start)
    }

    mutating func doubleQuoted(minimum: Int) throws(YAMLError) -> String {
        let start = mark()
        var text = FoldedText()
        at += 1
        while at < end {
            switch current {
            case 0x22:
                at += 1
                return text.string
            case 0x5C where byte(at + 1) == 0x0A:
                at += 1
                try fold(into: &text, minimum: minimum, escaped: true, openedAt: start)
            case 0x5C: text.append(try escape())
            case 0x0A: try fold(into: &text, minimum: minimum, escaped: false, openedAt: start)
            default:
                text.append(current)
                at += 1
            }
        }
        throw unterminated(start)
    }

    /// Goes over a line break inside quotes and the blank lines and indentation behind it (§6.5, §7.3.1).
    private mutating func fold(
        into text: inout FoldedText, minimum: Int, escaped: Bool, openedAt start: YAMLMark
    ) throws(YAMLError) {
        var blankLines = -1
        while at < end, current == 0x0A {
            breakLine()
            blankLines += 1
            while current == 0x20 { at += 1 }
            guard current != 0x09 else { throw tabAsIndentation() }
        }
        guard at < end else { throw unterminated(start) }
        guard at - lineStart >= minimum else {
            throw fail(
                .indentation, "this line belongs to a quoted text and is not indented enough",
                remedy:
                    "indent it by at least \(minimum) space\(minimum == 1 ? "" : "s"), or close the quotes before it")
        }
        text.fold(blankLines: blankLines, escaped: escaped)
    }

    private func unterminated(_ start: YAMLMark) -> YAMLError {
        YAMLError(.syntax, "quotes are never closed", remedy: "add the closing quote", at: start)
    }

    /// One escape sequence (§5.7).
    private mutating func escape() throws(YAMLError) -> Unicode.Scalar {
        let letter = byte(at + 1)
        let value: UInt32
        var size = 2
        switch letter {
        case 0x30: value = 0x00  // 0
        case 0x61: value = 0x07  // a
        case 0x62: value = 0x08  // b
        case 0x74, 0x09: value = 0x09  // t, tab
        case 0x6E: value = 0x0A  // n
        case 0x76: value = 0x0B  // v
        case 0x66: value = 0x0C  // f
        case 0x72: value = 0x0D  // r
        case 0x65: value = 0x1B  // e
        case 0x20, 0x22, 0x2F, 0x5C: value = UInt32(letter)  // space " / \
        case 0x4E: value = 0x85  // N
        case 0x5F: value = 0xA0  // _
        case 0x4C: value = 0x2028  // L
        case 0x50: value = 0x2029  // P
        case 0x78: (value, size) = (try hexDigits(2), 4)
        case 0x75: (value, size) = (try hexDigits(4), 6)
        case 0x55: (value, size) = (try hexDigits(8), 10)
        default:
            throw fail(
                .syntax, "unknown escape in double quotes", remedy: "write '\\\\' for a backslash, or use single quotes"
            )
        }
        // No surrogates: YAML does not say that two escapes make one character, as JSON does.
        guard let scalar = Unicode.Scalar(value) else {
            throw fail(
                .unsupported, "escape is not a character", remedy: "write the character itself, or \\U and 8 digits")
        }
        at += size
        return scalar
    }

    private mutating func hexDigits(_ count: Int) throws(YAMLError) -> UInt32 {
        var value: UInt32 = 0
        for index in at + 2..<at + 2 + count {
            guard let digit = Character(Unicode.Scalar(byte(index))).hexDigitValue else {
                throw fail(.syntax, "escape needs \(count) hexadecimal digits", remedy: "write all \(count) digits")
            }
            value = value << 4 | UInt32(digit)
        }
        return value
    }
}

/// The text of a quoted scalar while it is read, which knows what of its end a line break swallows.
private struct FoldedText {
    private var bytes: [UInt8] = []
    /// Up to here nothing is swallowed: text, escapes and folded breaks.
    private var solid = 0

    var string: String { String(decoding: bytes, as: UTF8.self) }

    /// A byte as it stands in the document.
    mutating func append(_ byte: UInt8) {
        bytes.append(byte)
        if byte != 0x20, byte != 0x09 { solid = bytes.count }
    }

    /// A character that was escaped, which stays even if it is white space at the end of a line.
    mutating func append(_ scalar: Unicode.Scalar) {
        bytes.append(contentsOf: String(Character(scalar)).utf8)
        solid = bytes.count
    }

    /// A line break and `blankLines` empty lines. An escaped break keeps the white space before it and is itself dropped.
    mutating func fold(blankLines: Int, escaped: Bool) {
        if !escaped { bytes.removeSubrange(solid...) }
        if blankLines > 0 {
            bytes.append(contentsOf: repeatElement(0x0A, count: blankLines))
        } else if !escaped {
            bytes.append(0x20)
        }
        solid = bytes.count
    }
}
