/// Flow nodes (YAML 1.2.2 §7): scalars on a line, `[…]` and `{…}`.
///
/// `minimum` is the least indentation, in spaces, of every further line of the node. Parsers in use are lax about it
/// inside brackets; the specification is not (§7.4, `s-flow-line-prefix`), so a line that is less indented is refused.
extension YAMLReader {
    /// The node at `at`. Returns with `at` directly behind it.
    mutating func flowNode(minimum: Int, inFlow: Bool) throws(YAMLError) -> YAMLNode {
        let start = mark()
        switch current {
        case 0x22: return try node(.scalar(doubleQuoted(minimum: minimum), .doubleQuoted), at: start)
        case 0x27: return try node(.scalar(singleQuoted(minimum: minimum), .singleQuoted), at: start)
        case 0x5B: return try flowSequence(minimum: minimum)
        case 0x7B: return try flowMapping(minimum: minimum)
        default:
            try checkPlainStart(inFlow: inFlow)
            return try node(.scalar(plain(minimum: minimum, inFlow: inFlow), .plain), at: start)
        }
    }

    private mutating func flowSequence(minimum: Int) throws(YAMLError) -> YAMLNode {
        try enter()
        defer { leave() }
        let start = mark()
        var items: [YAMLNode] = []
        at += 1
        while true {
            try skipFlowSpace(minimum: minimum, openedAt: start)
            if current == 0x5D { break }
            items.append(try flowNode(minimum: minimum, inFlow: true))
            skipWhite()
            if current == 0x3A {
                throw fail(
                    .unsupported, "a key inside a list", remedy: "write the entry in braces, or put quotes around it")
            }
            if try !continuesFlow(closing: 0x5D, minimum: minimum, openedAt: start) { break }
        }
        at += 1
        return try node(.sequence(items), at: start)
    }

    private mutating func flowMapping(minimum: Int) throws(YAMLError) -> YAMLNode {
        try enter()
        defer { leave() }
        let start = mark()
        var entries = YAMLEntries(allowDuplicates: allowDuplicateKeys)
        at += 1
        while true {
            try skipFlowSpace(minimum: minimum, openedAt: start)
            if current == 0x7D { break }
            let key = try flowKey(minimum: minimum)
            try skipFlowSpace(minimum: minimum, openedAt: start)
            if current == 0x2C || current == 0x7D {
                try entries.append(key: key, value: null())
            } else {
                try refuseColon()
                try entries.append(key: key, value: flowNode(minimum: minimum, inFlow: true))
            }
            skipWhite()
            if current == 0x3A {
                throw fail(
                    .syntax, "a mapping is not allowed here", remedy: "put the inner mapping in braces, or use quotes")
            }
            if try !continuesFlow(closing: 0x7D, minimum: minimum, openedAt: start) { break }
        }
        at += 1
        return try node(.mapping(entries.entries), at: start)
    }

    /// A key of a flow mapping and its colon. Behind a quoted key the colon needs no white space, as in JSON (§7.4.2).
    private mutating func flowKey(minimum: Int) throws(YAMLError) -> YAMLNode {
        let (firstLine, start) = (line, at)
        try refuseColon()
        let key = try flowNode(minimum: minimum, inFlow: true)
        let behind = at
        skipWhite()
        guard current == 0x3A else {
            at = behind
            throw fail(
                .syntax, "expected ': ' and a value behind the key",
                remedy: "write {key: value} with a space behind the colon")
        }
        try checkKey(key, startedAt: start, onLine: firstLine)
        at += 1
        return key
    }

    /// `{:a: b}` and `{a: :b}` are allowed, but parsers in use refuse them now and then. In a list, `[::1]` is fine.
    private mutating func refuseColon() throws(YAMLError) {
        guard current == 0x3A else { return }
        throw fail(.unsupported, "text in braces must not start with ':'", remedy: "put quotes around the text")
    }

    /// Behind an entry: a comma, then whether another entry may follow, or the closing bracket.
    private mutating func continuesFlow(
        closing: UInt8, minimum: Int, openedAt start: YAMLMark
    ) throws(YAMLError) -> Bool {
        try skipFlowSpace(minimum: minimum, openedAt: start)
        if current == closing { return false }
        guard current == 0x2C else {
            let bracket = Character(Unicode.Scalar(closing))
            throw fail(.syntax, "expected ',' or '\(bracket)'", remedy: "separate entries with commas")
        }
        at += 1
        return true
    }

    /// White space, comments and line breaks between the tokens of a flow collection.
    private mutating func skipFlowSpace(minimum: Int, openedAt start: YAMLMark) throws(YAMLError) {
        while true {
            skipWhite()
            guard isLineEnd else { return }
            skipComment()
            guard at < end else {
                throw YAMLError(
                    .syntax, "bracket is never closed",
                    remedy: "close it; further lines must be indented deeper than the block around them", at: start)
            }
            breakLine()
            // Tabs may follow the indentation here (§6.2), as in JSON that was indented with tabs.
            while current == 0x20 { at += 1 }
            let indentation = at - lineStart
            skipWhite()
            guard isLineEnd || indentation >= minimum else {
                throw fail(
                    .indentation, "this line belongs to an open bracket and is not indented enough",
                    remedy: "indent it by at least \(minimum) space\(minimum == 1 ? "" : "s")")
            }
        }
    }
}
