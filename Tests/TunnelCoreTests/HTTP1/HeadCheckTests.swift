import Testing

@testable import TunnelCore

@Suite struct HeadCheckTests {
    private static let good =
        "POST /mcp HTTP/1.1\r\nhost: a.example\r\nx-long: aaaaaaaaaaaaaaaaaaaa\tb \u{80}\u{FF}\r\nempty:\r\n\r\n"

    private func isOneHead(_ bytes: [UInt8]) -> Bool { bytes.span.isOneHead }

    @Test func takesAHead() {
        #expect(isOneHead(Array(Self.good.utf8)))
        #expect(isOneHead(Array("GET / HTTP/1.1\r\n\r\n".utf8)))
    }

    /// Each place of a head, and each byte that has no business there.
    @Test func refusesEveryControlByteEverywhere() {
        let head = Array(Self.good.utf8)
        for place in head.indices {
            for byte in Array<UInt8>(0..<0x20) + [0x7F] where byte != 0x09 && byte != head[place] {
                var other = head
                other[place] = byte
                #expect(!isOneHead(other), "\(byte) at \(place)")
            }
        }
    }

    @Test(
        arguments: [
            "", "\r\n", "\r\n\r\n", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n\r\nmore", "GET / HTTP/1.1\r\n\r\n\r\n",
            "GET / HTTP/1.1\r\na: b\r\n\r\nGET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\na: b\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\na: b\r\n\tfolded-long-enough\r\n\r\n", " GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\n\n",
            "GET / HTTP/1.1\r\na: b\rc: d\r\n\r\n", "GET / HTTP/1.1\r\na: b\nc: d\r\n\r\n",
        ])
    func refusesWhatIsMoreOrLess(_ text: String) { #expect(!isOneHead(Array(text.utf8))) }
}
