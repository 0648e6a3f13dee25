import Testing
import TunnelCore

@Suite struct UTF8ValidatorTests {
    private func isValid(_ bytes: [UInt8]) -> Bool {
        var validator = UTF8Validator()
        return validator.validate(bytes.span) && validator.isComplete
    }

    @Test(arguments: ["", "plain", "κόσμε", "€", "😀", "\u{0}\u{7F}\u{80}\u{7FF}\u{800}\u{FFFF}\u{10000}\u{10FFFF}"])
    func acceptsText(_ text: String) {
        #expect(isValid(Array(text.utf8)))
    }

    /// Bytes, and the index of the first byte at which they are wrong.
    static let malformed: [(bytes: [UInt8], at: Int)] = [
        ([0x80], 0), ([0xBF], 0), ([0xC0, 0x80], 0), ([0xC1, 0xBF], 0), ([0xF5, 0x80, 0x80, 0x80], 0), ([0xFF], 0),
        ([0xC2, 0x41], 1), ([0xE0, 0x9F, 0xBF], 1), ([0xE1, 0x80, 0x41], 2), ([0xED, 0xA0, 0x80], 1),
        ([0xF0, 0x8F, 0xBF, 0xBF], 1), ([0xF4, 0x90, 0x80, 0x80], 1), ([0xF1, 0x80, 0x80, 0xC0], 3),
        (Array("12345678".utf8) + [0xFE], 8),
    ]

    /// Fails exactly at the wrong byte, however the bytes come, and stays failed.
    @Test(arguments: malformed) func failsFast(_ row: (bytes: [UInt8], at: Int)) {
        var validator = UTF8Validator()
        for (index, byte) in row.bytes.enumerated() {
            let stillValid = validator.validate([byte].span)
            #expect(stillValid == (index < row.at))
        }
        #expect(!validator.isComplete && !isValid(row.bytes))
        validator.reset()
        #expect(validator.isComplete)
    }

    @Test func incompleteAtTheEnd() {
        for text in ["é", "€", "😀"] {
            let bytes = Array(text.utf8)
            for count in 1..<bytes.count {
                var validator = UTF8Validator()
                let isPrefix = validator.validate(Array(bytes[..<count]).span)
                #expect(isPrefix && !validator.isComplete)
            }
        }
    }

    /// Agrees with the standard library on random bytes that are often nearly right, at every split.
    @Test func agreesWithTheStandardLibrary() {
        let pieces: [[UInt8]] = [
            [0x41], [0xC3, 0xA9], [0xE2, 0x82, 0xAC], [0xF0, 0x9F, 0x98, 0x80], [0xE0, 0xA0], [0x80],
            [0xED, 0x9F, 0xBF], [0xED, 0xA0, 0x80], [0xF4, 0x8F, 0xBF, 0xBF], Array("eight by".utf8), [0xC3],
        ]
        for _ in 0..<3_000 {
            let bytes = (0..<Int.random(in: 0...6)).flatMap { _ in pieces.randomElement() ?? [] }
            let expected = String(validating: bytes, as: UTF8.self) != nil
            #expect(isValid(bytes) == expected, "\(bytes)")
            for split in 0...bytes.count {
                var validator = UTF8Validator()
                let first = validator.validate(Array(bytes[..<split]).span)
                let second = validator.validate(Array(bytes[split...]).span)
                #expect((first && second && validator.isComplete) == expected)
            }
        }
    }
}
