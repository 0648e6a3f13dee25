import Testing
@testable import TunnelCore

@Suite struct EscapedTextTests {
    /// Bytes, and how they stand in a quoted value, a message and a JSON string.
    static let vectors: [([UInt8], String, String, String)] = [
        (Array("plain".utf8), "plain", "plain", "plain"),
        (Array("a \"b\" \\c".utf8), #"a \"b\" \\c"#, #"a "b" \c"#, #"a \"b\" \\c"#),
        (Array("a\nb\r\tc".utf8), #"a\nb\r\tc"#, #"a\nb\r\tc"#, #"a\nb\r\tc"#),
        ([0x00, 0x1B, 0x7F], #"\x00\x1b\x7f"#, #"\x00\x1b\x7f"#, #"\u0000\u001b\u007f"#),
        (Array("héllo 日本 🙂".utf8), "héllo 日本 🙂", "héllo 日本 🙂", "héllo 日本 🙂"),
        // NEL, no-break space, line and paragraph separators, right-to-left override, BOM, private use, unassigned.
        (
            Array("\u{85}\u{A0}\u{2028}\u{2029}\u{202E}\u{FEFF}\u{E000}\u{378}".utf8),
            #"\u0085\u00a0\u2028\u2029\u202e\ufeff\ue000\u0378"#, #"\u0085\u00a0\u2028\u2029\u202e\ufeff\ue000\u0378"#,
            #"\u0085\u00a0\u2028\u2029\u202e\ufeff\ue000\u0378"#
        ),
        // A tag character, beyond the basic plane.
        (Array("\u{E0041}".utf8), #"\U000e0041"#, #"\U000e0041"#, #"\udb40\udc41"#),
        // Not UTF-8: a lone continuation, a cut character, over-long, a surrogate, too large, never used.
        ([0x61, 0x80, 0x62], #"a\x80b"#, #"a\x80b"#, #"a\ufffdb"#),
        ([0xE6, 0x97], #"\xe6\x97"#, #"\xe6\x97"#, #"\ufffd\ufffd"#),
        ([0xC0, 0x8A], #"\xc0\x8a"#, #"\xc0\x8a"#, #"\ufffd\ufffd"#),
        ([0xE0, 0x80, 0x8A], #"\xe0\x80\x8a"#, #"\xe0\x80\x8a"#, #"\ufffd\ufffd\ufffd"#),
        ([0xED, 0xA0, 0x80], #"\xed\xa0\x80"#, #"\xed\xa0\x80"#, #"\ufffd\ufffd\ufffd"#),
        ([0xF4, 0x90, 0x80, 0x80], #"\xf4\x90\x80\x80"#, #"\xf4\x90\x80\x80"#, #"\ufffd\ufffd\ufffd\ufffd"#),
        ([0xFF, 0xC3, 0x0A], #"\xff\xc3\n"#, #"\xff\xc3\n"#, #"\ufffd\ufffd\n"#),
        ([], "", "", ""),
    ]
    @Test(arguments: vectors) func escapes(_ row: (bytes: [UInt8], quoted: String, message: String, json: String)) {
        #expect(escape(row.bytes, .quoted) == row.quoted)
        #expect(escape(row.bytes, .message) == row.message)
        #expect(escape(row.bytes, .json) == row.json)
    }

    /// Whatever the bytes, what is written is valid UTF-8 without a control character: one line stays one line.
    @Test func neverWritesAControl() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            let bytes = (0..<Int.random(in: 0...40)).map { _ in
                Bool.random()
                    ? UInt8.random(in: 0...255, using: &random)
                    : [0x0A, 0x0D, 0x22, 0x5C, 0xC2, 0xE2, 0x80][Int.random(in: 0...6)]
            }
            for style in [EscapedText.Style.quoted, .message, .json] {
                var buffer = ByteBuffer()
                EscapedText.append(bytes.span, style, limit: 30, to: &buffer)
                #expect(!buffer.array.contains { $0 < 0x20 || $0 == 0x7F })
                let text = String(validating: buffer.array, as: UTF8.self)
                #expect(text != nil)
                #expect(text?.unicodeScalars.contains { $0.properties.generalCategory == .format } == false)
                #expect(text?.unicodeScalars.contains { "\u{85}\u{2028}\u{2029}".unicodeScalars.contains($0) } == false)
            }
        }
    }

    @Test func cutsAtTheLimit() {
        #expect(escape(Array("12345".utf8), .quoted, limit: 5) == "12345")
        #expect(escape(Array("123456".utf8), .quoted, limit: 5) == "12345…")
        // Never inside a character, but inside what is none.
        #expect(escape(Array("1234é6".utf8), .quoted, limit: 5) == "1234…")
        #expect(escape(Array("1🙂5".utf8), .quoted, limit: 4) == "1…")
        #expect(escape([0x31, 0x80, 0x80, 0x80, 0x80, 0x80], .quoted, limit: 5) == #"1\x80…"#)
    }

    static let bare: [(String, Bool)] = [
        ("echo", true), ("/mcp", true), ("a\\b", true), ("~!@#$%^&*()'", true), ("", false), ("a b", false),
        ("a=b", false),
        ("\"", false), ("a\n", false), ("é", false), ("\u{7F}", false),
    ]
    @Test(arguments: bare) func knowsWhatNeedsQuotes(_ row: (text: String, isBare: Bool)) {
        #expect(isBare(Array(row.text.utf8)) == row.isBare)
    }

    /// Bytes are looked at eight at a time and the last eight together, so one that counts is put at each place.
    @Test(arguments: 1...26) func findsOneByteAnywhere(_ count: Int) {
        let plain = [UInt8](repeating: UInt8(ascii: "a"), count: count)
        #expect(isBare(plain))
        #expect(escape(plain, .message) == String(repeating: "a", count: count))
        for place in 0..<count {
            var bytes = plain
            for byte in [0x20, 0x22, 0x3D, 0x7F, 0xC2] as [UInt8] {
                bytes[place] = byte
                #expect(!isBare(bytes))
            }
            bytes[place] = UInt8(ascii: "\n")
            let (before, after) = (plain[..<place], plain[(place + 1)...])
            let expected = String(decoding: before + Array("\\n".utf8) + after, as: UTF8.self)
            for style in [EscapedText.Style.quoted, .message, .json] { #expect(escape(bytes, style) == expected) }
        }
    }

    private func isBare(_ bytes: [UInt8]) -> Bool { EscapedText.isBare(bytes.span) }

    private func escape(_ bytes: [UInt8], _ style: EscapedText.Style, limit: Int = 1_000) -> String {
        var buffer = ByteBuffer()
        EscapedText.append(bytes.span, style, limit: limit, to: &buffer)
        return String(decoding: buffer.array, as: UTF8.self)
    }
}
