/// Literal and folded block scalars (YAML 1.2.2 §8.1).
extension YAMLReader {
    private enum Chomping { case strip, clip, keep }

    /// From `|` or `>` to the token behind the text.
    mutating func blockScalar(parent: Int) throws(YAMLError) -> YAMLNode {
        let start = mark()
        let isFolded = current == 0x3E
        let (chomping, explicit) = try header(parent: parent)
        try finishLine()
        let indentation = if let explicit { parent + explicit } else { try detectIndentation(parent: parent) }

        var text = BlockText(isFolded: isFolded)
        while at < end {
            while current == 0x20, at - lineStart < indentation { at += 1 }
            if isBreakOrEnd(at) {
                guard at < end else { break }
                text.appendEmptyLine()
                breakLine()
                continue
            }
            guard at - lineStart == indentation else {
                guard current != 0x09 else { throw tabAsIndentation() }
                guard at - lineStart <= parent || current == 0x23 else {
                    throw fail(
                        .indentation, "this line is indented less than the block text it belongs to",
                        remedy: "indent all lines of the text alike")
                }
                break
            }
            let lineEnd = bytes[at..<end].firstIndex(of: 0x0A) ?? end
            text.append(bytes[at..<lineEnd], hasBreak: lineEnd < end)
            at = lineEnd
            if at < end { breakLine() }
        }
        // The line that ends the text is read again, from its start, as a line of the structure around.
        if at < end { at = lineStart }
        switch chomping {
        case .strip: break
        case .clip: text.clip()
        case .keep: text.keep()
        }
        try nextToken()
        return try node(.scalar(text.string, isFolded ? .folded : .literal), at: start)
    }

    /// The indicators behind `|` or `>`: chomping and indentation, in any order.
    private mutating func header(parent: Int) throws(YAMLError) -> (Chomping, explicit: Int?) {
        var chomping: Chomping?, explicit: Int?
        at += 1
        while !isSpaceOrEnd(at) {
            switch current {
            case 0x2B where chomping == nil: chomping = .keep
            case 0x2D where chomping == nil: chomping = .strip
            // At the top the specification and the parsers in use count from different columns.
            case 0x31...0x39 where explicit == nil && parent >= 0: explicit = Int(current - 0x30)
            default:
                throw fail(
                    .syntax, "unexpected character behind '|' or '>'", remedy: "start the text on the next line")
            }
            at += 1
        }
        return (chomping ?? .clip, explicit)
    }

    /// The indentation of the first line with text (§8.1.1.1), without moving.
    private mutating func detectIndentation(parent: Int) throws(YAMLError) -> Int {
        var ahead = at, longestBlank = 0
        while true {
            let start = ahead
            while byte(ahead) == 0x20 { ahead += 1 }
            let spaces = ahead - start
            guard !isBreakOrEnd(ahead) else {
                longestBlank = max(longestBlank, spaces)
                guard ahead < end else { return max(longestBlank, parent + 1) }
                ahead += 1
                continue
            }
            guard byte(ahead) != 0x09 else {
                throw fail(.indentation, "tab in the indentation of the text below", remedy: "indent with spaces")
            }
            guard spaces > parent else { return max(longestBlank, parent + 1) }
            guard longestBlank <= spaces else {
                throw fail(
                    .indentation, "an empty line before the text is indented deeper than the text",
                    remedy: "remove the spaces of the empty line")
            }
            return spaces
        }
    }
}

/// The text of a block scalar while it is read.
private struct BlockText {
    private var bytes: [UInt8] = []
    private let isFolded: Bool
    /// Line breaks since the last line with text.
    private var breaks = 0
    private var hasText = false
    /// Whether the last line with text began with white space: breaks beside such a line are never folded (§8.1.3).
    private var wasSpaced = false

    init(isFolded: Bool) { self.isFolded = isFolded }

    var string: String { String(decoding: bytes, as: UTF8.self) }

    mutating func appendEmptyLine() { breaks += 1 }

    mutating func append(_ line: ArraySlice<UInt8>, hasBreak: Bool) {
        let isSpaced = line.first == 0x20 || line.first == 0x09
        if !isFolded || !hasText || isSpaced || wasSpaced {
            bytes.append(contentsOf: repeatElement(0x0A, count: breaks))
        } else if breaks == 1 {
            bytes.append(0x20)
        } else {
            bytes.append(contentsOf: repeatElement(0x0A, count: breaks - 1))
        }
        bytes.append(contentsOf: line)
        (hasText, wasSpaced, breaks) = (true, isSpaced, hasBreak ? 1 : 0)
    }

    /// Ends the text with one line break, if it has a line to end.
    mutating func clip() {
        if hasText, breaks > 0 { bytes.append(0x0A) }
    }

    /// Ends the text with all line breaks there were.
    mutating func keep() { bytes.append(contentsOf: repeatElement(0x0A, count: breaks)) }
}
