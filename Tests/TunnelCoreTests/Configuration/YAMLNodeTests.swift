import Testing
import TunnelCore

/// A tree without marks and styles, in a form that is easy to write: `{a: [b, "c"]}` with plain scalars bare and others in
/// quotes.
func outline(_ node: YAMLNode) -> String {
    switch node.content {
    case .scalar(let text, .plain): text
    case .scalar(let text, _): "\"\(text)\""
    case .sequence(let items): "[" + items.map(outline).joined(separator: ", ") + "]"
    case .mapping(let entries):
        "{" + entries.map { "\(outline($0.key)): \(outline($0.value))" }.joined(separator: ", ") + "}"
    }
}

func parse(_ text: String) throws(YAMLError) -> YAMLNode { try YAMLNode.parse(Array(text.utf8)) }

@Suite struct YAMLNodeTests {
    @Test func marksEachKeyAndValue() throws {
        let root = try parse("# c\né: [a,\n  {b: 'x'}]\n日本: \"é\" # c\nd:\n- e\n")
        guard case .mapping(let entries) = root.content, entries.count == 3,
            case .sequence(let items) = entries[0].value.content, case .mapping(let inner) = items[1].content,
            case .sequence(let last) = entries[2].value.content
        else { return #expect(Bool(false), "unexpected shape") }
        #expect(root.mark == YAMLMark(line: 2, column: 1))
        #expect(entries[0].key.mark == YAMLMark(line: 2, column: 1))
        #expect(entries[0].value.mark == YAMLMark(line: 2, column: 4))
        #expect(items[0].mark == YAMLMark(line: 2, column: 5))
        #expect(items[1].mark == YAMLMark(line: 3, column: 3))
        #expect(inner[0].value.mark == YAMLMark(line: 3, column: 7))
        // Columns count characters: 日本 is two.
        #expect(entries[1].value.mark == YAMLMark(line: 4, column: 5))
        #expect(last[0].mark == YAMLMark(line: 6, column: 3))
    }

    @Test func marksTheLineBehindAMarker() throws {
        #expect(try parse("# c\n---\n  a").mark == YAMLMark(line: 3, column: 3))
        #expect(try parse("--- a").mark == YAMLMark(line: 1, column: 5))
    }

    @Test func keepsStyles() throws {
        let root = try parse("[a, 'b', \"c\"]")
        guard case .sequence(let items) = root.content else { return #expect(Bool(false)) }
        #expect(
            items.map(\.content) == [.scalar("a", .plain), .scalar("b", .singleQuoted), .scalar("c", .doubleQuoted)])
    }

    @Test func refusesDuplicatesUnlessAllowed() throws {
        let text = "a: 1\nb: 2\n'a': 3\n"
        let error = #expect(throws: YAMLError.self) { try parse(text) }
        #expect(error?.code == .duplicateKey && error?.mark == YAMLMark(line: 3, column: 1))
        let root = try YAMLNode.parse(Array(text.utf8), allowDuplicateKeys: true)
        #expect(outline(root) == "{a: 1, b: 2, \"a\": 3}")
    }

    @Test func readsSpans() throws {
        let bytes = Array("a: b".utf8)
        #expect(outline(try YAMLNode.parse(bytes.span)) == "{a: b}")
    }

    // MARK: Limits, at n and n + 1

    @Test func limitsDepth() throws {
        let n = YAMLNode.Limit.depth
        _ = try parse(String(repeating: "[", count: n) + String(repeating: "]", count: n))
        _ = try parse((0..<n).map { String(repeating: " ", count: $0) + "a:\n" }.joined())
        _ = try parse(String(repeating: "- ", count: n))
        for text in [
            String(repeating: "[", count: n + 1), String(repeating: "- ", count: n + 1),
            (0...n).map { String(repeating: " ", count: $0) + "a:\n" }.joined(),
            String(repeating: "{a: ", count: 100_000), String(repeating: "- ", count: 500_000),
        ] {
            let error = #expect(throws: YAMLError.self) { try parse(text) }
            #expect(error?.code == .limit)
        }
    }

    @Test func limitsNodes() throws {
        let n = YAMLNode.Limit.nodes
        // One for the list.
        _ = try parse("[" + String(repeating: "a,", count: n - 1) + "]")
        let error = #expect(throws: YAMLError.self) { try parse("[" + String(repeating: "a,", count: n) + "]") }
        #expect(error?.code == .limit)
    }

    @Test func limitsSize() throws {
        let n = YAMLNode.Limit.documentBytes
        #expect(try parse(String(repeating: "a", count: n)).text?.utf8.count == n)
        let error = #expect(throws: YAMLError.self) { try parse(String(repeating: "a", count: n + 1)) }
        #expect(error?.code == .limit)
    }

    @Test func limitsKeys() throws {
        let n = YAMLNode.Limit.keyBytes
        _ = try parse(String(repeating: "k", count: n) + ": v")
        _ = try parse("{" + String(repeating: "k", count: n) + ": v}")
        for key in [String(repeating: "k", count: n + 1), "'" + String(repeating: "k", count: n - 1) + "'"] {
            let error = #expect(throws: YAMLError.self) { try parse(key + ": v") }
            #expect(error?.code == .limit)
        }
    }

    /// Shapes that a careless reader takes quadratic time for: seconds together in a debug build, hours if quadratic.
    @Test func takesLinearTime() throws {
        let n = 100_000
        let hostile = [
            String(repeating: "\n", count: n), String(repeating: "#\n", count: n / 2),
            "a:" + String(repeating: "\n", count: n) + " b", "a" + String(repeating: "\n \n", count: n / 3) + "b",
            "[" + String(repeating: "é,", count: 40_000) + "]", "- |\n" + String(repeating: "  a\n\n", count: n / 6),
            "a: |\n" + String(repeating: "\n", count: n), "'" + String(repeating: "a\n", count: n / 2) + "'",
            "\"" + String(repeating: " \n", count: n / 2) + "\"", String(repeating: "a\n", count: n / 2),
            (0..<20_000).map { "k\($0): v\n\n# c\n\n" }.joined(),
            "[" + String(repeating: " # c\n", count: n / 5) + "]", String(repeating: " ", count: n) + "a",
        ]
        for text in hostile { _ = try parse(text) }
    }
}
