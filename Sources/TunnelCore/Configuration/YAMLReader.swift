/// Reads a checked document by recursive descent. This file holds the cursor; the grammar is in the extensions:
/// block collections, flow collections, plain and quoted scalars, block scalars.
///
/// Each byte is looked at a bounded number of times: there is no backtracking but one look ahead over the blank lines
/// behind a plain scalar. Recursion is bounded by `YAMLNode.Limit.depth`.
struct YAMLReader {
    let bytes: [UInt8]
    let end: Int
    let allowDuplicateKeys: Bool
    private let startsOnMarker: Bool

    /// The byte to read next.
    var at: Int
    /// The current line, from 1, and where it begins.
    private(set) var line: Int
    private(set) var lineStart: Int
    /// Column, from 0, of the token that `at` stands on, as `nextToken` found it; -1 behind the last one.
    private(set) var column = -1

    private var depth = 0
    private var nodes = 0
    /// The last place a mark was made for and its column, so that a long line is not counted from its start each time.
    private var markedAt = 0
    private var markedColumn = 1

    init(_ source: YAMLSource, allowDuplicateKeys: Bool) {
        self.allowDuplicateKeys = allowDuplicateKeys
        (bytes, at, end) = (source.bytes, source.start, source.end)
        (line, lineStart, startsOnMarker) = (source.startLine, source.startOfLine, source.startsOnMarker)
        markedAt = lineStart
    }

    mutating func document() throws(YAMLError) -> YAMLNode {
        let root: YAMLNode
        if startsOnMarker {
            skipWhite()
            if isLineEnd {
                root = try documentBelow()
            } else {
                root = try inlineNode(parent: -1)
            }
        } else {
            root = try documentBelow()
        }
        guard column < 0 else {
            throw fail(
                .indentation, "this line is indented less than the first one",
                remedy: "start all top-level keys in the same column")
        }
        return root
    }

    private mutating func documentBelow() throws(YAMLError) -> YAMLNode {
        if at > lineStart { try finishLine() }
        try nextToken()
        guard column >= 0 else { return try null() }
        return try blockNode(parent: -1, behindTab: false)
    }

    // MARK: - Cursor

    /// The byte at `index`, or 0 behind the end: the document itself holds no 0.
    func byte(_ index: Int) -> UInt8 { index < end ? bytes[index] : 0 }
    var current: UInt8 { byte(at) }

    func isWhite(_ index: Int) -> Bool { byte(index) == 0x20 || byte(index) == 0x09 }
    func isBreakOrEnd(_ index: Int) -> Bool { index >= end || bytes[index] == 0x0A }
    func isSpaceOrEnd(_ index: Int) -> Bool { isWhite(index) || isBreakOrEnd(index) }

    /// `- `, `? ` or `: `: an indicator only where white space follows.
    func isIndicator(_ character: UInt8) -> Bool { current == character && isSpaceOrEnd(at + 1) }

    /// A comment starts the line or follows white space (§6.6).
    private var isComment: Bool { current == 0x23 && (at == lineStart || isWhite(at - 1)) }
    /// Nothing but a comment is left on the line. Call it behind `skipWhite`.
    var isLineEnd: Bool { isBreakOrEnd(at) || isComment }

    /// Skips spaces and tabs; says whether a tab was among them.
    @discardableResult
    mutating func skipWhite() -> Bool {
        var sawTab = false
        while isWhite(at) {
            sawTab = sawTab || current == 0x09
            at += 1
        }
        return sawTab
    }

    /// Goes over the line break at `at`.
    mutating func breakLine() {
        at += 1
        line += 1
        lineStart = at
    }

    /// Ends the line behind a node: white space, a comment, the line break; anything else is an error.
    mutating func finishLine() throws(YAMLError) {
        skipWhite()
        if isComment { skipComment() }
        guard isBreakOrEnd(at) else { throw unexpectedBehindNode() }
        if at < end { breakLine() }
    }

    mutating func skipComment() {
        while !isBreakOrEnd(at) { at += 1 }
    }

    /// From the start of a line, goes to the next token over blank lines and comments, and sets `column`.
    mutating func nextToken() throws(YAMLError) {
        while at < end {
            let sawTab = skipWhite()
            if isComment { skipComment() }
            if isBreakOrEnd(at) {
                if at < end { breakLine() }
                continue
            }
            guard !sawTab else { throw tabAsIndentation() }
            column = at - lineStart
            return
        }
        column = -1
    }

    // MARK: - Nodes and errors

    mutating func mark() -> YAMLMark {
        // A look back is rare: only an error about something already read asks for it.
        if markedAt < lineStart || markedAt > at { (markedAt, markedColumn) = (lineStart, 1) }
        while markedAt < at {
            if byte(markedAt) & 0xC0 != 0x80 { markedColumn += 1 }
            markedAt += 1
        }
        return YAMLMark(line: line, column: markedColumn)
    }

    mutating func node(_ content: YAMLNode.Content, at mark: YAMLMark) throws(YAMLError) -> YAMLNode {
        nodes += 1
        guard nodes <= YAMLNode.Limit.nodes else {
            throw YAMLError(
                .limit, "more than \(YAMLNode.Limit.nodes) values", remedy: "shorten the document", at: mark)
        }
        return YAMLNode(content, at: mark)
    }

    /// A value that was left out.
    mutating func null() throws(YAMLError) -> YAMLNode { try node(.scalar("", .plain), at: mark()) }

    /// Enters a collection. Whoever calls it calls `leave` at the end; an error ends the whole reading.
    mutating func enter() throws(YAMLError) {
        depth += 1
        guard depth <= YAMLNode.Limit.depth else {
            throw fail(.limit, "more than \(YAMLNode.Limit.depth) levels deep", remedy: "nest less deeply")
        }
    }

    mutating func leave() { depth -= 1 }

    mutating func fail(_ code: YAMLError.Code, _ problem: String, remedy: String) -> YAMLError {
        YAMLError(code, problem, remedy: remedy, at: mark())
    }

    mutating func tabAsIndentation() -> YAMLError {
        fail(.indentation, "tab in the indentation", remedy: "indent with spaces")
    }

    private mutating func unexpectedBehindNode() -> YAMLError {
        if current == 0x3A, !isSpaceOrEnd(at + 1) {
            return fail(.syntax, "':' directly behind a value", remedy: "put a space behind the colon")
        }
        if current == 0x3A {
            return fail(
                .syntax, "a mapping is not allowed here",
                remedy: "start the mapping on a line of its own, or quote the text before the colon")
        }
        if current == 0x23 {
            return fail(.syntax, "'#' directly behind a value", remedy: "put a space before the comment")
        }
        return fail(
            .syntax, "unexpected text behind a value", remedy: "quote the whole value, or put it on a line of its own")
    }
}
