import Testing
import TunnelCore

@Suite struct YAMLReaderFlowTests {
    @Test(
        arguments: [
            ("[]", "[]"), ("{}", "{}"), ("[a, b]", "[a, b]"), ("[a,b,]", "[a, b]"),
            ("[ a , 'b' ,\"c\"]", "[a, \"b\", \"c\"]"),
            ("{a: b, c: [d, {e: f}]}", "{a: b, c: [d, {e: f}]}"), ("{a: , b: c}", "{a: , b: c}"),
            ("{\"a\":1,\"b\":[]}", "{\"a\": 1, \"b\": []}"),
            ("{\"a\" :1}", "{\"a\": 1}"), ("{\"a\":}", "{\"a\": }"), ("[a b, c\n d]", "[a b, c d]"),
            ("[a, # c\n b # d\n]", "[a, b]"),
            ("{a:\n  b,\nc: d\n}", "{a: b, c: d}"), ("k: [\n  a\n  ]", "{k: [a]}"),
            ("[http://a:1/b?c#d, 10.0.0.0/8]", "[http://a:1/b?c#d, 10.0.0.0/8]"),
            ("[-1, -a]", "[-1, -a]"), ("[::1, :a]", "[::1, :a]"),
            ("{\n\t\"a\": [\n\t\t1\n\t]\n}", "{\"a\": [1]}"), ("[a]\n# c\n", "[a]"),
            ("[a#b]", "[a#b]"),
        ] as [(String, String)])
    func reads(_ document: String, _ expected: String) throws {
        #expect(outline(try parse(document)) == expected)
    }

    @Test(
        arguments: [
            ("[a", .syntax, 1, 1), ("k: {a: b", .syntax, 1, 4), ("[a]]", .syntax, 1, 4), ("[,]", .syntax, 1, 2),
            ("[a,,b]", .syntax, 1, 4),
            ("{,}", .syntax, 1, 2), ("[a b: c]", .unsupported, 1, 5), ("[a: b]", .unsupported, 1, 3),
            ("['a': b]", .unsupported, 1, 5),
            ("[? a]", .unsupported, 1, 2), ("{? a: b}", .unsupported, 1, 2), ("[?a]", .unsupported, 1, 2),
            ("{:a: b}", .unsupported, 1, 2), ("{a: :b}", .unsupported, 1, 5), ("[:,a]", .unsupported, 1, 2),
            ("[: a]", .syntax, 1, 2),
            ("[-]", .unsupported, 1, 2), ("[- a]", .syntax, 1, 2), ("[a:]", .unsupported, 1, 3),
            ("{a:[b]}", .unsupported, 1, 3),
            ("{a}", .syntax, 1, 3), ("{a:1}", .syntax, 1, 5), ("{[a]: b}", .unsupported, 1, 2),
            ("{a: b: c}", .syntax, 1, 6),
            ("{<<: a}", .unsupported, 1, 2), ("[a,#c\n]", .syntax, 1, 4), ("k: [a,\nb]", .indentation, 2, 1),
            ("k: [\n  a\n]", .indentation, 3, 1),
            ("[&a b]", .unsupported, 1, 2), ("[*a]", .unsupported, 1, 2), ("[!a b]", .unsupported, 1, 2),
            ("[|]", .syntax, 1, 2),
            ("{'a\n b': c}", .syntax, 2, 4), ("{a\n: b}", .syntax, 1, 3), ("[a] b", .syntax, 1, 5),
            ("[a\tb]", .unsupported, 1, 5),
            ("{a: 1, a: 2}", .duplicateKey, 1, 8), ("[a #", .syntax, 1, 1), ("{a: b} # c\nd", .indentation, 2, 1),
        ] as [(String, YAMLError.Code, Int, Int)])
    func refuses(_ document: String, _ code: YAMLError.Code, _ line: Int, _ column: Int) {
        let error = #expect(throws: YAMLError.self) { try parse(document) }
        #expect(
            error?.code == code && error?.mark == YAMLMark(line: line, column: column), "\(String(describing: error))")
    }
}
