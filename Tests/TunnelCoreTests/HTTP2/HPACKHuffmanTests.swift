import Testing

@testable import TunnelCore

@Suite struct HPACKHuffmanTests {
    /// Each byte alone, twice and among others: all lengths of codes, at all places in a byte.
    @Test func everyByteComesBack() {
        for byte in UInt8.min...UInt8.max {
            for text in [
                [byte], [byte, byte], [0x61, byte, 0x30], [UInt8](repeating: byte, count: 9), [byte, 0x2F, 255, byte],
            ] {
                var code = ByteBuffer()
                HPACKHuffman.encode(text.span, into: &code)
                #expect(code.count == HPACKHuffman.encodedCount(text.span))
                var back = ByteBuffer()
                #expect(HPACKHuffman.decode(code.array.span, into: &back))
                #expect(back.array == text)
            }
        }
    }

    /// RFC 7541 §5.2: padding is fewer than eight bits, all ones. Every last byte but the right ones is refused.
    @Test func onlyTheRightPaddingIsTaken() {
        // "a" is 00011: three bits of padding.
        for last in UInt8.min...UInt8.max where last >> 3 == 0b00011 {
            var out = ByteBuffer()
            #expect(HPACKHuffman.decode([last].span, into: &out) == (last & 7 == 7))
        }
        // "aaaaaaaa" fills five bytes: a whole byte of padding may not follow.
        var code = ByteBuffer()
        HPACKHuffman.encode([UInt8](repeating: 0x61, count: 8).span, into: &code)
        #expect(code.count == 5)
        var out = ByteBuffer()
        #expect(HPACKHuffman.decode(code.array.span, into: &out))
        #expect(!HPACKHuffman.decode((code.array + [0xFF]).span, into: &out))
    }

    /// RFC 7541 §5.2: the end of the string, thirty ones, is no symbol of a string.
    @Test(
        arguments: [
            [0xFF, 0xFF, 0xFF, 0xFF], [0x1F, 0xFF, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
            [0xFF, 0xFF, 0xFF, 0xFC, 0x7F],
        ] as [[UInt8]])
    func theEndIsNoSymbol(_ code: [UInt8]) {
        var out = ByteBuffer()
        #expect(!HPACKHuffman.decode(code.span, into: &out))
    }

    @Test func randomCodesNeverTrap() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let code = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                UInt8.random(in: Bool.random(using: &random) ? 0...255 : 0xF0...0xFF, using: &random)
            }
            var text = ByteBuffer()
            guard HPACKHuffman.decode(code.span, into: &text) else { continue }
            // The code is one to one, padding included.
            var again = ByteBuffer()
            HPACKHuffman.encode(text.array.span, into: &again)
            #expect(again.array == code)
        }
    }
}
