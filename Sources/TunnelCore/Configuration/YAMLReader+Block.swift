/// Block collections (YAML 1.2.2 §8.2): structure by indentation.
///
/// Each function is called with `at` on a token and `parent`, the column (from 0) of the collection around it, -1 at
/// the top: what belongs to the node stands right of that. Each returns with `at` on the next token behind the node
/// and `column` set, so that the caller sees by the column whether its own collection goes on.
extension YAMLReader {
    /// A node that may be a block collection: at the start of a line, or behind `- `.
    mutating func blockNode(parent: Int, behindTab: Bool) throws(YAMLError) -> YAMLNode {
        let own = at - lineStart
        if isIndicator(0x2D) {
            guard !behindTab else { throw tabAsIndentation() }
            return try blockSequence(column: own, sharesColumn: false)
        }
        if current == 0x7C || current == 0x3E { return try blockScalar(parent: parent) }
        let first = try keyOrValue(minimum: parent + 1)
        guard first.isKey else {
            try finishLine()
            try nextToken()
            return first.node
        }
        guard !behindTab else { throw tabAsIndentation() }
        return try blockMapping(column: own, firstKey: first.node)
    }

    /// A node on the line of the indicator before it, where no block collection may begin.
    mutating func inlineNode(parent: Int) throws(YAMLError) -> YAMLNode {
        if isIndicator(0x2D) {
            throw fail(
                .syntax, "a list item is not allowed on this line", remedy: "start the list on a line of its own")
        }
        if current == 0x7C || current == 0x3E { return try blockScalar(parent: parent) }
        let value = try flowNode(minimum: parent + 1, inFlow: false)
        try finishLine()
        try nextToken()
        return value
    }

    private mutating func blockSequence(column own: Int, sharesColumn: Bool) throws(YAMLError) -> YAMLNode {
        try enter()
        defer { leave() }
        let start = mark()
        var items: [YAMLNode] = []
        while true {
            at += 1
            let behindTab = skipWhite()
            if isLineEnd {
                let missing = mark()
                try finishLine()
                try nextToken()
                items.append(
                    column > own
                        ? try blockNode(parent: own, behindTab: false) : try node(.scalar("", .plain), at: missing))
            } else {
                items.append(try blockNode(parent: own, behindTab: behindTab))
            }
            guard column >= own else { break }
            guard column == own else { throw misplaced() }
            if isIndicator(0x2D) { continue }
            // `key:` and its items may stand in one column (§8.2.1); then the next key ends the list.
            guard sharesColumn else {
                throw fail(.indentation, "expected '- '", remedy: "start each item of the list with '- '")
            }
            break
        }
        return try node(.sequence(items), at: start)
    }

    private mutating func blockMapping(column own: Int, firstKey: YAMLNode) throws(YAMLError) -> YAMLNode {
        try enter()
        defer { leave() }
        var entries = YAMLEntries(allowDuplicates: allowDuplicateKeys)
        var key = firstKey
        while true {
            at += 1
            let value = try mappingValue(column: own)
            try entries.append(key: key, value: value)
            guard column >= own else { break }
            guard column == own else { throw misplaced() }
            guard !isIndicator(0x2D) else {
                throw fail(
                    .indentation, "a list item where a key was expected", remedy: "put the list under a key of its own")
            }
            let next = try keyOrValue(minimum: own + 1)
            guard next.isKey else {
                throw YAMLError(
                    .syntax, "expected 'key: value'",
                    remedy: "put a colon and a space behind the key, or indent a line that continues a value",
                    at: next.node.mark)
            }
            key = next.node
        }
        return try node(.mapping(entries.entries), at: firstKey.mark)
    }

    /// The value behind `key:`, on the same line or below.
    private mutating func mappingValue(column own: Int) throws(YAMLError) -> YAMLNode {
        skipWhite()
        guard isLineEnd else { return try inlineNode(parent: own) }
        let missing = mark()
        try finishLine()
        try nextToken()
        if column > own { return try blockNode(parent: own, behindTab: false) }
        if column == own, isIndicator(0x2D) { return try blockSequence(column: own, sharesColumn: true) }
        return try node(.scalar("", .plain), at: missing)
    }

    /// A scalar or flow collection, and whether it is the key of a block mapping: `at` then stands on its colon.
    private mutating func keyOrValue(minimum: Int) throws(YAMLError) -> (node: YAMLNode, isKey: Bool) {
        let (firstLine, start) = (line, at)
        let node = try flowNode(minimum: minimum, inFlow: false)
        let behind = at
        skipWhite()
        guard isIndicator(0x3A) else {
            at = behind
            return (node, false)
        }
        try checkKey(node, startedAt: start, onLine: firstLine)
        return (node, true)
    }

    /// What holds for every key, in block and flow: a scalar, on one line, not too long, no merge key.
    mutating func checkKey(_ key: YAMLNode, startedAt start: Int, onLine firstLine: Int) throws(YAMLError) {
        guard case .scalar(let text, let style) = key.content else {
            throw YAMLError(
                .unsupported, "complex keys are not supported", remedy: "use a text as the key", at: key.mark)
        }
        guard line == firstLine else {
            throw fail(
                .syntax, "a key must not span lines", remedy: "write the key on one line, or quote a value with a colon"
            )
        }
        guard at - start <= YAMLNode.Limit.keyBytes else {
            throw YAMLError(
                .limit, "key longer than \(YAMLNode.Limit.keyBytes) bytes", remedy: "shorten the key", at: key.mark)
        }
        guard style != .plain || text != "<<" else {
            throw YAMLError(
                .unsupported, "merge keys are not supported", remedy: "write the merged entries out", at: key.mark)
        }
    }

    private mutating func misplaced() -> YAMLError {
        fail(
            .indentation, "this line is indented deeper than its neighbours",
            remedy: "start entries of one block in the same column")
    }
}

/// The entries of one mapping while it is read. Two keys with the same text are taken for equal whatever their
/// style: YAML would tell `1` from `"1"`, a reader of the file would not.
struct YAMLEntries {
    private(set) var entries: [YAMLNode.Entry] = []
    private var seen: Set<String> = []
    private let allowDuplicates: Bool

    init(allowDuplicates: Bool) { self.allowDuplicates = allowDuplicates }

    mutating func append(key: YAMLNode, value: YAMLNode) throws(YAMLError) {
        if !allowDuplicates, let text = key.text, !seen.insert(text).inserted {
            throw YAMLError(.duplicateKey, "duplicate key", remedy: "keep one of the entries", at: key.mark)
        }
        entries.append(YAMLNode.Entry(key: key, value: value))
    }
}
