import Testing
import TunnelCore

@Suite struct YAMLReaderQuotedTests {
    @Test(
        arguments: [
            ("''", ""), ("'a'", "a"), ("'it''s'", "it's"), ("''''", "'"), ("' a '", " a "), ("'a\\nb'", "a\\nb"),
            ("'a\n b'", "a b"), ("'a \n\n b'", "a\nb"),
            ("' \n a'", " a"), ("'a\n '", "a "), ("'#: - [] {}'", "#: - [] {}"), ("\"\"", ""), ("\"a 'b'\"", "a 'b'"),
            ("\"\\\"\"", "\""),
            ("\"\\0\\a\\b\\t\\n\\v\\f\\r\\e\\ \\/\\\\\"", "\0\u{7}\u{8}\t\n\u{B}\u{C}\r\u{1B} /\\"),
            ("\"\\N\\_\\L\\P\"", "\u{85}\u{A0}\u{2028}\u{2029}"),
            ("\"\\x41\\u00e9\\U0001F600\"", "Aé😀"), ("\"a\\\tb\"", "a\tb"), ("\"a\tb\"", "a\tb"), ("\"a \n b\"", "a b"),
            ("\"a\n\n\n b\"", "a\n\nb"),
            ("\"a\\\n b\"", "ab"), ("\"a \\\n b\"", "a b"), ("\"a\\\n\n b\"", "a\nb"), ("\"a\\t \n b\"", "a\t b"),
            ("\"a\n \\ b\"", "a  b"), ("\"\n a\n \"", " a "),
        ] as [(String, String)])
    func reads(_ document: String, _ expected: String) throws {
        #expect(try parse(document).text == expected)
        #expect(try parse("- [\(document)]").text == nil)
        #expect(try parse(document).coreType == .string)
    }

    @Test(
        arguments: [
            ("'a", .syntax, 1, 1), ("k: \"a\n ", .syntax, 1, 4), ("\"a\\\"", .syntax, 1, 1), ("\"\\q\"", .syntax, 1, 2),
            ("\"a\\x4\"", .syntax, 1, 3),
            ("\"\\u12\"", .syntax, 1, 2), ("\"\\u12g4\"", .syntax, 1, 2), ("\"\\ud83d\\ude00\"", .unsupported, 1, 2),
            ("\"\\U00110000\"", .unsupported, 1, 2),
            ("\"\\UFFFFFFFF\"", .unsupported, 1, 2), ("k: 'a\nb'", .indentation, 2, 1),
            ("'a\n\tb'", .indentation, 2, 1), ("\"\\u", .syntax, 1, 2),
            ("'a'#b", .syntax, 1, 4), ("'a''", .syntax, 1, 1), ("k: 'a\n ' b", .syntax, 2, 4),
        ] as [(String, YAMLError.Code, Int, Int)])
    func refuses(_ document: String, _ code: YAMLError.Code, _ line: Int, _ column: Int) {
        let error = #expect(throws: YAMLError.self) { try parse(document) }
        #expect(
            error?.code == code && error?.mark == YAMLMark(line: line, column: column), "\(String(describing: error))")
    }
}
