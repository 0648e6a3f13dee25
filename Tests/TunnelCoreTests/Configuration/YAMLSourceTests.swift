import Testing
import TunnelCore

@Suite struct YAMLSourceTests {
    @Test(
        arguments: [
            ("\u{FEFF}a: b", "{a: b}"), ("a: b\r\nc:\r\n- d\r\n", "{a: b, c: [d]}"), ("a: 'x\r\n  y'", "{a: \"x y\"}"),
            ("", ""), ("# c", ""), ("---\n", ""), ("---", ""), ("---\n...\n", ""), ("# c\n---\na\n...\n# d\n\n", "a"),
            ("--- # c\na: b", "{a: b}"), ("---a", "---a"), ("...a", "...a"), ("a: ---", "{a: ---}"), ("a\n...", "a"),
            ("--- |\n  a\n", "\"a\n\""),
        ] as [(String, String)])
    func readsOneDocument(_ document: String, _ expected: String) throws {
        #expect(outline(try parse(document)) == expected)
    }

    @Test(
        arguments: [
            ("a\n---\nb", .unsupported, 2, 1), ("---\na\n---\n", .unsupported, 3, 1),
            ("---\n---\n", .unsupported, 2, 1),
            ("a\n...\nb", .unsupported, 3, 1), ("'a\n---\n'", .unsupported, 2, 1), ("...", .syntax, 1, 1),
            ("%YAML 1.2\n---\na", .unsupported, 1, 1), ("a\n%b", .unsupported, 2, 1),
            ("a: \u{85}b", .unsupported, 1, 4),
            ("é\u{2028}", .unsupported, 1, 2), ("é\u{2029}", .unsupported, 1, 2), ("a\rb", .encoding, 1, 2),
            ("a\r", .encoding, 1, 2), ("\u{0}", .encoding, 1, 1), ("a\n \u{7F}", .encoding, 2, 2),
            ("\u{1B}[0m", .encoding, 1, 1),
            ("a\u{FEFF}", .encoding, 1, 2), ("\u{FFFE}", .encoding, 1, 1), ("a\n... b\n", .syntax, 2, 1),
        ] as [(String, YAMLError.Code, Int, Int)])
    func refuses(_ document: String, _ code: YAMLError.Code, _ line: Int, _ column: Int) {
        let error = #expect(throws: YAMLError.self) { try parse(document) }
        #expect(error?.code == code && error?.mark == YAMLMark(line: line, column: column))
    }

    /// RFC 3629 §4: truncated, overlong, surrogate, beyond U+10FFFF, stray continuation, UTF-16.
    @Test(
        arguments: [
            [0x80], [0xC3], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
            [0xF0, 0x8F, 0xBF, 0xBF], [0xE2, 0x82], [0xED, 0xA0, 0x80],
            [0xF0, 0x80, 0x80, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF],
            [0xFE, 0xFF, 0, 0x61],
            [0xC3, 0x61],
        ] as [[UInt8]])
    func refusesWhatIsNotUTF8(_ bytes: [UInt8]) {
        let error = #expect(throws: YAMLError.self) { try YAMLNode.parse([0x61, 0x0A] + bytes) }
        #expect(error?.code == .encoding && error?.mark == YAMLMark(line: 2, column: 1))
    }

    /// The edges of each length of UTF-8 that YAML allows.
    @Test(arguments: [
        "~~", "\u{A0}", "\u{7FF}", "\u{800}", "\u{D7FF}", "\u{E000}", "\u{FFFD}", "\u{10000}", "\u{10FFFF}",
    ])
    func readsUTF8(_ text: String) throws {
        #expect(try parse(text).text == text)
    }
}
