/// Plain scalars (YAML 1.2.2 §7.3.3): text without quotes, which ends at `: `, ` #`, or a bracket inside brackets.
extension YAMLReader {
    func isFlowIndicator(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x2C, 0x5B, 0x5D, 0x7B, 0x7D: true  // , [ ] { }
        default: false
        }
    }

    /// Refuses what cannot start a plain scalar, each with the word for what the author probably meant.
    mutating func checkPlainStart(inFlow: Bool) throws(YAMLError) {
        let quote = "put quotes around the text"
        switch current {
        case 0x26: throw fail(.unsupported, "anchors are not supported", remedy: "repeat the value, or quote the text")
        case 0x2A: throw fail(.unsupported, "aliases are not supported", remedy: "repeat the value, or quote the text")
        case 0x21: throw fail(.unsupported, "tags are not supported", remedy: "remove the tag, or quote the text")
        case 0x3F where isSpaceOrEnd(at + 1):
            throw fail(.unsupported, "complex keys are not supported", remedy: "write 'key: value'")
        case 0x3A where isSpaceOrEnd(at + 1):
            throw fail(.syntax, "a key is missing before ':'", remedy: "write 'key: value'")
        case 0x2D where isSpaceOrEnd(at + 1):
            throw fail(.syntax, "a list item is not allowed here", remedy: quote)
        case 0x2D, 0x3F, 0x3A:
            // In brackets the next character must not be a bracket or comma; and parsers in use read `[?a]` as a key.
            guard !inFlow || (current != 0x3F && !isFlowIndicator(byte(at + 1))) else {
                throw fail(.unsupported, "text in brackets must not start like this", remedy: quote)
            }
        case 0x7C, 0x3E: throw fail(.syntax, "a block text is not allowed in brackets", remedy: quote)
        case 0x23: throw fail(.syntax, "'#' directly behind a value", remedy: "put a space before the comment")
        case 0x25, 0x40, 0x60:
            throw fail(.syntax, "a value must not start with this character", remedy: quote)
        case 0x2C, 0x5D, 0x7D: throw fail(.syntax, "unexpected bracket or comma", remedy: quote)
        default: break
        }
    }

    /// The text from `at` on, over as many lines as it has. Line breaks are folded (§6.5).
    mutating func plain(minimum: Int, inFlow: Bool) throws(YAMLError) -> String {
        var text: [UInt8] = []
        while true {
            text.append(contentsOf: bytes[try plainLine(inFlow: inFlow)])
            guard let blankLines = try continuePlain(minimum: minimum, inFlow: inFlow) else { break }
            if blankLines == 0 {
                text.append(0x20)
            } else {
                text.append(contentsOf: repeatElement(0x0A, count: blankLines))
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// One line of the text without the white space behind it; leaves `at` behind the text.
    private mutating func plainLine(inFlow: Bool) throws(YAMLError) -> Range<Int> {
        let start = at
        var contentEnd = at
        while !isBreakOrEnd(at) {
            if current == 0x3A {
                if isSpaceOrEnd(at + 1) { break }
                guard !inFlow || !isFlowIndicator(byte(at + 1)) else {
                    throw fail(
                        .unsupported, "':' directly before a bracket or comma", remedy: "put a space behind the colon")
                }
            }
            if current == 0x23, at > start, isWhite(at - 1) { break }
            if inFlow, isFlowIndicator(current) { break }
            if !isWhite(at) { contentEnd = at + 1 }
            at += 1
        }
        at = contentEnd
        // Allowed, but parsers in use stumble over it.
        guard !inFlow || !bytes[start..<contentEnd].contains(0x09) else {
            throw fail(.unsupported, "tab inside a text in brackets", remedy: "put quotes around the text")
        }
        return start..<contentEnd
    }

    /// If the text goes on below, moves to its next line and returns the number of blank lines between; else `nil`,
    /// and `at` stays.
    private mutating func continuePlain(minimum: Int, inFlow: Bool) throws(YAMLError) -> Int? {
        var ahead = at
        while isWhite(ahead) { ahead += 1 }
        guard ahead < end, byte(ahead) == 0x0A else { return nil }
        var blankLines = -1, start = ahead, sawTab = false
        while byte(ahead) == 0x0A {
            ahead += 1
            blankLines += 1
            start = ahead
            while isWhite(ahead) {
                sawTab = sawTab || byte(ahead) == 0x09
                ahead += 1
            }
        }
        guard ahead < end, ahead - start >= minimum, byte(ahead) != 0x23 else { return nil }
        if inFlow, isFlowIndicator(byte(ahead)) { return nil }
        if byte(ahead) == 0x3A, isSpaceOrEnd(ahead + 1) { return nil }
        while lineStart < start {
            while current != 0x0A { at += 1 }
            breakLine()
        }
        at = ahead
        guard !sawTab else { throw tabAsIndentation() }
        // YAML would fold the dash into the text; nobody who writes this means it.
        guard !isIndicator(0x2D) else {
            throw fail(
                .indentation, "a list item below a value",
                remedy: "put the list under a key of its own, or put quotes around the text")
        }
        return blankLines
    }
}
