import Testing
import TunnelCore

@Suite struct YAMLReaderPlainTests {
    @Test(
        arguments: [
            ("a", "a"), ("a b  ", "a b"), ("a#b", "a#b"), ("a #b", "a"), ("a:b", "a:b"), ("-1", "-1"), ("--", "--"),
            ("a\tb", "a\tb"),
            ("a\nb", "a b"), ("a\n\nb", "a\nb"), ("a\n\n\n  b \n c", "a\n\nb c"), ("a # c", "a"), ("a - b", "a - b"),
            ("a 'b' \"c\"", "a 'b' \"c\""),
            ("a [b] {c}, d", "a [b] {c}, d"), ("a & *b !c % @ `", "a & *b !c % @ `"), ("é日本😀", "é日本😀"),
            ("a\n&b", "a &b"), ("a\n'b'", "a 'b'"),
            ("a\n  \n# c\n", "a"), ("http://h:80/p?q#f", "http://h:80/p?q#f"), (":8080", ":8080"), ("a\n?b", "a ?b"),
        ] as [(String, String)])
    func reads(_ document: String, _ expected: String) throws {
        let node = try parse("k: \(document.replacing("\n", with: "\n "))")
        guard case .mapping(let entries) = node.content else { return #expect(Bool(false)) }
        #expect(entries.first?.value.content == .scalar(expected, .plain))
        if !document.contains("#") { #expect(try parse(document).text == expected) }
    }

    @Test(
        arguments: [
            ("&a b", .unsupported), ("*a", .unsupported), ("!a b", .unsupported), ("!!str a", .unsupported),
            ("%a", .unsupported),
            ("@a", .syntax), ("`a", .syntax), (", a", .syntax), ("]", .syntax), ("}", .syntax), ("? a", .unsupported),
        ] as [(String, YAMLError.Code)])
    func refusesAtTheStart(_ document: String, _ code: YAMLError.Code) {
        let error = #expect(throws: YAMLError.self) { try parse(document) }
        #expect(error?.code == code && error?.mark == YAMLMark(line: 1, column: 1))
    }

    @Test(arguments: ["a: b\n\tc", "a: b\n \tc", "a: b\n\t\n c", "a: b\n # c\n d"])
    func refusesAsContinuation(_ document: String) {
        let error = #expect(throws: YAMLError.self) { try parse(document) }
        #expect(error?.code == .indentation)
    }
}
