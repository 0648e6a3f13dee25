import Testing
import TunnelCore

@Suite struct DiagnosticTests {
    @Test func hasOnePrintedForm() {
        let mark = YAMLMark(line: 12, column: 5)
        let whole = Diagnostic(
            file: "config.yaml", mark: mark, field: "upstream.allowed_ips[2]", problem: "bad", remedy: "mend it")
        #expect(whole.description == "config.yaml:12:5: upstream.allowed_ips[2]: bad (mend it)")
        #expect(
            Diagnostic(file: "c", field: "a", problem: "bad", remedy: "mend it").description == "c: a: bad (mend it)")
        #expect(Diagnostic(file: "c", mark: mark, problem: "bad", remedy: "").description == "c:12:5: bad")
        #expect(Diagnostic(mark: mark, field: "a", problem: "bad", remedy: "x").description == "a: bad (x)")
        #expect(Diagnostic(problem: "open x: permission denied", remedy: "").description == "open x: permission denied")
    }

    /// What a file holds must not end a log line, move a cursor or turn text around.
    @Test(arguments: [
        ("plain é日本😀", "plain é日本😀"), ("a\nb", "a\\u{a}b"), ("\u{1B}[31m", "\\u{1b}[31m"), ("\u{202E}x", "\\u{202e}x"),
        ("\u{2028}", "\\u{2028}"),
        ("", ""),
    ])
    func excerptsOnOneLine(_ text: String, _ shown: String) {
        #expect(Diagnostic.excerpt(text) == shown)
    }

    @Test func excerptsAreBounded() {
        #expect(Diagnostic.excerpt(String(repeating: "x", count: 64)).count == 64)
        #expect(Diagnostic.excerpt(String(repeating: "x", count: 65)) == String(repeating: "x", count: 64) + "...")
    }
}
