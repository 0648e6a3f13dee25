import Testing

@testable import TunnelPKI

/// RFC 4648 §10 and the ways base64 can be wrong.
@Suite struct Base64Tests {
    static let vectors = [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ]

    @Test(arguments: vectors) func decodesVectors(_ vector: (plain: String, text: String)) throws {
        var output: [UInt8] = []
        try Base64.decode(bytes(vector.text).span, into: &output)
        #expect(output == bytes(vector.plain))
    }

    @Test(arguments: vectors) func encodesVectors(_ vector: (plain: String, text: String)) {
        var output: [UInt8] = []
        Base64.encodeLines(bytes(vector.plain), into: &output)
        #expect(output == bytes(vector.text.isEmpty ? "" : vector.text + "\n"))
    }

    @Test(arguments: [
        ("Zg", Base64.Failure.badPadding), ("Zg=", .badPadding), ("Z===", .badPadding), ("====", .badPadding),
        ("Zg==Zg==", .badPadding), ("Zg=v", .badPadding), ("Zm9v=", .badPadding), ("Zm-v", .badCharacter),
        ("Zm_v", .badCharacter), ("Zm\u{7f}v", .badCharacter), ("Zm9 ", .badCharacter), ("Zm9\0", .badCharacter),
    ])
    func refuses(_ row: (text: String, failure: Base64.Failure)) {
        var output: [UInt8] = []
        #expect(throws: row.failure) { try Base64.decode(bytes(row.text).span, into: &output) }
    }

    /// Every length to beyond three lines comes back, in lines of 64.
    @Test func roundTrips() throws {
        for count in 0...150 {
            let plain = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ count) }
            var text: [UInt8] = []
            Base64.encodeLines(plain, into: &text)
            let lines = text.split(separator: UInt8(ascii: "\n"))
            #expect(lines.dropLast().allSatisfy { $0.count == 64 } && (lines.last?.count ?? 0) <= 64)
            var decoded: [UInt8] = []
            try Base64.decode(Array(lines.joined()).span, into: &decoded)
            #expect(decoded == plain)
        }
    }
}
