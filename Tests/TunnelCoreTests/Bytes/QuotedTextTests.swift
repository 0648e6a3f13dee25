import Testing
@testable import TunnelCore

@Suite struct QuotedTextTests {
    static let vectors: [(String, String)] = [
        ("echo", #""echo""#), ("", #""""#), ("a\"b\n", #""a\"b\n""#), ("\u{1B}é", #""\u{1B}\u{00E9}""#),
        (String(repeating: "x", count: 64), "\"\(String(repeating: "x", count: 64))\""),
        (String(repeating: "x", count: 65), "\"\(String(repeating: "x", count: 64))...\""),
    ]
    @Test(arguments: vectors) func quotes(_ row: (text: String, quoted: String)) {
        #expect(quotedText(row.text) == row.quoted)
    }
}
