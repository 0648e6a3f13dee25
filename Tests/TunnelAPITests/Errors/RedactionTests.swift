import Foundation
import Testing
import TunnelCore

@testable import TunnelAPI

/// No server's words can carry a secret, a second line or more than 2000 characters into an error.
@Suite struct RedactionTests {
    private let redaction = Redaction([Secret(Sample.assertion), Secret(Sample.apiKey)])

    @Test(arguments: [
        ("bad assertion \(Sample.assertion)!", "bad assertion [redacted]!"),
        ("key=\(Sample.apiKey),\(Sample.apiKey)", "key=[redacted],[redacted]"),
        ("x\(Sample.apiKey)y", "x[redacted]y"), (Sample.apiKey, "[redacted]"),
    ])
    func cutsWhole(_ row: (text: String, expected: String)) { #expect(redaction(row.text) == row.expected) }

    /// A server may shorten what it echoes; 16 bytes are enough to know it by.
    @Test func cutsParts() {
        #expect(redaction("got \(Sample.apiKey.prefix(16))...") == "got [redacted]...")
        #expect(redaction("got \(Sample.apiKey.suffix(16))") == "got [redacted]")
        #expect(redaction("got \(Sample.apiKey.dropFirst(5).prefix(20))") == "got [redacted]")
        // Nothing but so much, at any place of the secret.
        #expect(redaction(String(Sample.apiKey.prefix(16))) == "[redacted]")
        #expect(redaction(String(Sample.apiKey.dropFirst(9).prefix(16))) == "[redacted]")
        let fifteen = Sample.apiKey.prefix(15)
        #expect(redaction("got \(fifteen)") == "got \(fifteen)")
    }

    /// What a server may make of a secret that it echoes.
    static let echoes: [(name: String, make: @Sendable (String) -> String)] = [
        ("base64", { Data($0.utf8).base64EncodedString() }),
        ("base64 behind one byte", { Data("x\($0)".utf8).base64EncodedString() }),
        ("base64 behind a scheme", { Data("Bearer \($0)".utf8).base64EncodedString() }),
        ("base64url", { Data($0.utf8).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_") }),
        ("base64 in lines", { Data($0.utf8).base64EncodedString(options: .lineLength64Characters) }),
        ("hexadecimal", { $0.utf8.map { String(format: "%02x", $0) }.joined() }),
        ("hexadecimal, large", { $0.utf8.map { String(format: "%02X", $0) }.joined(separator: ":") }),
        ("spaces", { $0.map { "\($0) " }.joined() }), ("a line feed", { "\($0.prefix(9))\r\n\($0.dropFirst(9))" }),
        ("quotes", { $0.map { "\"\($0)\"," }.joined() }), ("as it is", { $0 }),
    ]

    /// Sixteen bytes and more of it; what is left of the ends is too short to be of use.
    @Test(arguments: echoes.indices, [Sample.assertion, Sample.apiKey, Sample.tunnelToken])
    func cutsEchoesInAnyForm(_ index: Int, _ secret: String) {
        let redaction = Redaction([Secret(secret)])
        for part in [
            secret, String(secret.prefix(24)), String(secret.suffix(25)), String(secret.dropFirst(4).prefix(26)),
        ] {
            let echo = Self.echoes[index].make(part)
            let shown = redaction("got <\(echo)>")
            #expect(shown.contains("[redacted]"), "\(Self.echoes[index].name): \(shown)")
            #expect(shown.count < 45, "\(Self.echoes[index].name): \(shown)")
        }
    }

    @Test func wordsThatOnlyLookAlikeStay() {
        let text = "the request to /v1/tunnels was refused because the key 0123456789 is not known, see tunnels-key"
        #expect(redaction(text) == text)
    }

    /// Tokens that are not ours to know, such as one that was just made.
    @Test(arguments: [
        ("token sk-ant-oat01-ABC_def.1 refused", "token [redacted] refused"), ("\"eyJhbGciOi\"", "\"[redacted]\""),
        ("eyJ.eyJ.c", "[redacted]"), ("Bearer:sk-ant-x", "Bearer:[redacted]"), ("they say eya", "they say eya"),
        ("xeyJ45678901234567890", "x[redacted]"), ("xeyJ4567890123456789", "xeyJ4567890123456789"),
        ("access_token_sk-ant-oat01-0123456789", "access_token_[redacted]"),
    ])
    func cutsWhatLooksLikeToken(_ row: (text: String, expected: String)) {
        #expect(Redaction([])(row.text) == row.expected)
    }

    @Test func shortSecretIsCutToo() { #expect(Redaction([Secret("abc")])("xabcx") == "x[redacted]x") }

    @Test func emptySecretCutsNothing() { #expect(Redaction([Secret("")])("text") == "text") }

    @Test(arguments: [
        ("a\r\nb", #"a\r\nb"#), ("a\u{1b}[31mb", #"a\x1b[31mb"#), ("a\u{2028}b", #"a\u2028b"#),
        ("a\u{202e}b", #"a\u202eb"#), ("ünïcode \"q\"", "ünïcode \"q\""),
    ])
    func escapesControls(_ row: (text: String, expected: String)) { #expect(Redaction([])(row.text) == row.expected) }

    @Test func limitIsExact() {
        let longest = String(repeating: "x", count: 2000)
        #expect(Redaction([])(longest) == longest)
        #expect(Redaction([])(longest + "x") == String(repeating: "x", count: 1999) + "…")
        #expect(Redaction([])(String(repeating: "\u{7}", count: 2000)).unicodeScalars.count == 2000)
        #expect(Redaction([])("e" + String(repeating: "\u{301}", count: 100_000)).unicodeScalars.count <= 2000)
    }

    /// A secret that begins before the cut and ends behind it.
    @Test func cutsBeforeItShortens() {
        for lead in 1900...2010 {
            let text = redaction(String(repeating: "x", count: lead) + Sample.apiKey)
            #expect(!text.contains(Sample.apiKey.prefix(8)))
        }
    }
}
