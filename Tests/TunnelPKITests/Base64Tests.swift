import Testing

@testable import TunnelPKI

/// RFC 4648 §10 and the ways base64 can be wrong.
@Suite struct Base64Tests {
    static let vectors = [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ]

    @Test(arguments: vectors) func decodesVectors(_ vector: (plain: String, text: String)) {
        #expect(Base64.decode(bytes(vector.text)) == bytes(vector.plain))
    }

    @Test(arguments: vectors) func encodesVectors(_ vector: (plain: String, text: String)) {
        var output: [UInt8] = []
        Base64.encodeLines(bytes(vector.plain), into: &output)
        #expect(output == bytes(vector.text.isEmpty ? "" : vector.text + "\n"))
    }

    /// The last ones OpenSSL by itself would take: white space at the ends, an end of text, padding in the midst.
    @Test(arguments: [
        "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zg=v", "Zm9v=", "Zm-v", "Zm_v", "Zm\u{7f}v", "Zm9 ", "Zm9\0",
        "Zm9v    ", "    Zm9v", "Zm9v\n\n\n\n", "Zm9v----", "====Zm9v", "Zm==Zm9v",
    ])
    func refuses(_ text: String) { #expect(Base64.decode(bytes(text)) == nil) }

    /// Every length to beyond three lines comes back, in lines of 64.
    @Test func roundTrips() {
        for count in 0...150 {
            let plain = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ count) }
            var text: [UInt8] = []
            Base64.encodeLines(plain, into: &text)
            let lines = text.split(separator: UInt8(ascii: "\n"))
            #expect(lines.dropLast().allSatisfy { $0.count == 64 } && (lines.last?.count ?? 0) <= 64)
            #expect(Base64.decode(Array(lines.joined())) == plain)
        }
    }
}
