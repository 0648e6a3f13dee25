import Testing
import TunnelCore

@Suite struct YAMLReaderBlockScalarTests {
    /// The text of `k`, written behind `k: `; a second key follows, so that the end is seen too.
    @Test(
        arguments: [
            ("|\n a\n b\n", "a\nb\n"), ("|-\n a\n\n", "a"), ("|+\n a\n\n\n", "a\n\n\n"), ("|\n a\n\n\n", "a\n"),
            ("|\n   a\n    b\n   c\n", "a\n b\nc\n"),
            ("| # c\n a\n", "a\n"), ("|2\n   a\n  b\n", " a\nb\n"), ("|2-\n   a\n", " a"), ("|-2\n   a\n", " a"),
            ("|\n\n\n a\n", "\n\na\n"), ("|\n", ""),
            ("|-\n", ""), ("|+\n\n\n", "\n\n"), ("|\n a # b\n", "a # b\n"), ("|\n a: b\n - c\n", "a: b\n- c\n"),
            ("|\n a\n# c\n", "a\n"), ("|\n  a\n # c\n", "a\n"),
            (">\n a\n b\n", "a b\n"), (">\n a\n\n b\n", "a\nb\n"), (">\n a\n\n\n b\n", "a\n\nb\n"),
            (">\n a\n  b\n c\n", "a\n b\nc\n"), (">\n a\n\n  b\n\n c\n", "a\n\n b\n\nc\n"),
            (">\n  a\n  \tb\n  c\n", "a\n\tb\nc\n"), (">-\n a\n b\n\n", "a b"), (">+\n a\n\n", "a\n\n"),
            (">\n\n a\n", "\na\n"), ("|\n a\n  \n b\n", "a\n \nb\n"), ("|\t\n a\n", "a\n"),
            (">\n a \n b\n", "a  b\n"), ("\n |\n a\n", "a\n"),
        ] as [(String, String)])
    func reads(_ document: String, _ expected: String) throws {
        let node = try parse("k: \(document)z: 1\n")
        guard case .mapping(let entries) = node.content, entries.count == 2 else {
            return #expect(Bool(false), "\(node)")
        }
        #expect(entries[0].value.text == expected)
        // In a list the text ends at the next dash.
        #expect(outline(try parse("- \(document)- 1\n")) == "[\"\(expected)\", 1]")
    }

    /// Without a line break at the end of input there is none to keep (YAML 1.2.2 §8.1.1.2).
    @Test(arguments: [
        ("|\n a", "a"), ("|+\n a", "a"), (">\n a\n b", "a b"), ("|", ""), ("|\n a\n ", "a\n"),
        ("--- |\na\n b", "a\n b"),
    ])
    func endsWithTheInput(_ document: String, _ expected: String) throws {
        #expect(try parse(document).text == expected)
    }

    @Test(
        arguments: [
            ("k: |x\n a", .syntax, 1, 5), ("k: |0\n a", .syntax, 1, 5), ("k: |--\n a", .syntax, 1, 6),
            ("k: |12\n a", .syntax, 1, 6), ("k: | a\n b", .syntax, 1, 6),
            ("k: |#c\n b", .syntax, 1, 5), ("k: |\n  a\n b", .indentation, 3, 2),
            ("k: |\n   \n  a", .indentation, 2, 1), ("k: |\n\ta", .indentation, 2, 1),
            ("k: |\n  a\n\tb", .indentation, 3, 1),
            ("--- |1\n a", .syntax, 1, 6), ("k: |\n a\nb", .syntax, 3, 1),
        ] as [(String, YAMLError.Code, Int, Int)])
    func refuses(_ document: String, _ code: YAMLError.Code, _ line: Int, _ column: Int) {
        let error = #expect(throws: YAMLError.self) { try parse(document) }
        #expect(
            error?.code == code && error?.mark == YAMLMark(line: line, column: column), "\(String(describing: error))")
    }
}
