import Testing
import TunnelCore

@Suite struct PercentEncodingTests {
    static let rows: [(text: String, encoded: String)] = [
        ("", ""), ("aZ09-._~", "aZ09-._~"), ("a/b?c#d", "a%2Fb%3Fc%23d"), ("a b+c%", "a%20b%2Bc%25"),
        ("\u{E4}\u{0}\r", "%C3%A4%00%0D"), ("&=", "%26%3D"),
    ]

    @Test(arguments: rows) func escapesAllButTheUnreserved(_ row: (text: String, encoded: String)) {
        #expect(PercentEncoding.encode(row.text) == row.encoded)
        #expect(PercentEncoding.decode(row.encoded) == Array(row.text.utf8))
    }

    @Test func takesDigitsInAnyCase() { #expect(PercentEncoding.decode("%c3%A4x") == [0xC3, 0xA4, 0x78]) }

    @Test(arguments: ["%", "%4", "%4g", "a%", "%%41", "% 41"]) func aCutEscapeIsRefused(_ text: String) {
        #expect(PercentEncoding.decode(text) == nil)
    }
}
