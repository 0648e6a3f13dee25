import Testing
import TunnelCore

@Suite struct YAMLReaderBlockTests {
    @Test(
        arguments: [
            ("a: b\nc: d\n", "{a: b, c: d}"), ("- a\n- b", "[a, b]"),
            ("a:\n  b:\n    c: d\n  e: f\ng: h", "{a: {b: {c: d}, e: f}, g: h}"),
            ("a:\n- b\n- c\nd: e", "{a: [b, c], d: e}"),
            ("a:\n  - b\n  -\n  - c: d\n    e: f\n", "{a: [b, , {c: d, e: f}]}"),
            ("- - a\n  - b\n- c", "[[a, b], c]"), ("-\n  - a\n-   b: c\n    d: e", "[[a], {b: c, d: e}]"),
            ("a:\nb:\n", "{a: , b: }"), ("a:   # c\n\n  # d\n  b\n#e\nc: d", "{a: b, c: d}"),
            ("  a: b\n  c: d", "{a: b, c: d}"),
            ("'a b': c\n\"d\" : e\nf\t: g", "{\"a b\": c, \"d\": e, f: g}"), ("a:\tb\t# c", "{a: b}"),
            ("-\ta\n-\t[b]", "[a, [b]]"),
            ("a b: c", "{a b: c}"), ("1: 2\n~: x\n", "{1: 2, ~: x}"), ("'<<': x", "{\"<<\": x}"),
            ("a: <<", "{a: <<}"), ("-a: b", "{-a: b}"), ("?a: b", "{?a: b}"), (":a: b", "{:a: b}"), ("a::b", "a::b"),
            ("a::", "{a:: }"),
            ("a:\n\t\n  b: c", "{a: {b: c}}"), ("-", "[]"), ("- # c", "[]"),
        ] as [(String, String)])
    func reads(_ document: String, _ expected: String) throws {
        #expect(outline(try parse(document)) == expected)
    }

    @Test(
        arguments: [
            ("a: b: c", .syntax, 1, 5), ("a: b\n c: d", .syntax, 2, 3), ("a: 1\nb", .syntax, 2, 1),
            ("a: - b", .syntax, 1, 4),
            ("- a\nb: c", .indentation, 2, 1), ("a: b\n- c", .indentation, 2, 1),
            ("a:\n   b: c\n  d: e", .indentation, 3, 3),
            ("a:\n  b: c\n   d: e", .syntax, 3, 5), ("  a: b\nc: d", .indentation, 2, 1),
            ("- a\n  - b", .indentation, 2, 3),
            ("- - a\n - b", .indentation, 2, 2), ("a: 'b'\n  c", .indentation, 2, 3), ("\ta: b", .indentation, 1, 2),
            ("a:\n\tb: c", .indentation, 2, 2), ("a:\n  \tb: c", .indentation, 2, 4), ("-\t- a", .indentation, 1, 3),
            ("-\ta: b", .indentation, 1, 4), ("? a\n: b", .unsupported, 1, 1), (": a", .syntax, 1, 1),
            ("[a]: b", .unsupported, 1, 1),
            ("{a: b}: c", .unsupported, 1, 1), ("<<: x", .unsupported, 1, 1), ("a\nb: c", .syntax, 2, 2),
            ("'a\n b': c", .syntax, 2, 4),
            ("'a':b", .syntax, 1, 4), ("'a' b", .syntax, 1, 5), ("--- a: b", .syntax, 1, 6), ("--- - a", .syntax, 1, 5),
            ("a: b\n  - c", .indentation, 2, 3),
        ] as [(String, YAMLError.Code, Int, Int)])
    func refuses(_ document: String, _ code: YAMLError.Code, _ line: Int, _ column: Int) {
        let error = #expect(throws: YAMLError.self) { try parse(document) }
        #expect(
            error?.code == code && error?.mark == YAMLMark(line: line, column: column), "\(String(describing: error))")
        #expect(error?.remedy.isEmpty == false)
    }
}
