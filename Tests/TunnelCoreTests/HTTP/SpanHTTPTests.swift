import Testing

@testable import TunnelCore

@Suite struct SpanHTTPTests {
    /// Every byte value at every place of a run of 20, against a plain loop.
    @Test func firstControlSeesEveryByteEverywhere() {
        for place in 0..<20 {
            for byte in UInt8.min...UInt8.max {
                var bytes = [UInt8](repeating: 0x61, count: 20)
                bytes[place] = byte
                let isControl = byte < 0x20 && byte != 0x09 || byte == 0x7F
                let found = bytes.span.firstControl(from: 0, to: 20)
                #expect(found == (isControl ? place : 20))
            }
        }
    }

    @Test func firstControlAgreesWithALoop() {
        var random = SystemRandomNumberGenerator()
        let pool: [UInt8] = [0x09, 0x09, 0x1F, 0x20, 0x21, 0x7E, 0x7F, 0x80, 0x9F, 0xFF, 0x61, 0x00]
        for _ in 0..<3_000 {
            let count = Int.random(in: 0...40)
            let bytes = (0..<count).map { _ in
                Bool.random() ? 0x62 : pool.randomElement(using: &random) ?? 0
            }
            let start = Int.random(in: 0...count), end = Int.random(in: start...count)
            let expected = (start..<end).first { bytes[$0] < 0x20 && bytes[$0] != 0x09 || bytes[$0] == 0x7F } ?? end
            let found = bytes.span.firstControl(from: start, to: end)
            #expect(found == expected)
        }
    }

    @Test(arguments: [
        ("close", true), ("CLOSE", true), ("cLoSe", true), ("clos", false), ("closed", false), ("cl\u{4F}s%", false),
    ]) func matchesIgnoringCase(_ text: String, _ isEqual: Bool) {
        let bytes = HTTPSamples.bytes(text)
        let matches = bytes.span.matches(0..<bytes.count, ignoringCase: "close")
        #expect(matches == isEqual)
    }

    /// "@" and "`", "[" and "{" differ only in the bit that makes letters small.
    @Test func equalsFoldsLettersOnly() {
        let bytes = HTTPSamples.bytes("aB@[Ab`{ab@[")
        let results = [4..<8, 8..<12, 8..<11].map { bytes.span.equals(0..<4, ignoringCase: $0) }
        #expect(results == [false, true, false])
    }

    @Test(arguments: [("", ""), ("  ", ""), (" \ta b\t ", "a b"), ("a", "a"), ("\u{A0}a", "\u{A0}a")])
    func trims(_ text: String, _ expected: String) {
        let bytes = HTTPSamples.bytes(text)
        let range = bytes.span.trimmed(0..<bytes.count)
        #expect(HTTPSamples.text(Array(bytes[range])) == expected)
    }
}
