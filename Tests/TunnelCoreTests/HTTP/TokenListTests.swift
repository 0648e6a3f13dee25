import Testing

@testable import TunnelCore

@Suite struct TokenListTests {
    @Test(
        arguments: [
            ("", [], 0), ("a", ["a"], 1), ("a,b", ["a", "b"], 2), (" a ,\tb\t", ["a", "b"], 2),
            (",", [], 1), (",,a, ,b,", ["a", "b"], 5), ("a b", ["a b"], 1),
        ] as [(String, [String], Int)])
    func splits(_ value: String, _ elements: [String], _ count: Int) {
        let bytes = Array(value.utf8)
        var list = TokenList(0..<bytes.count)
        var found: [String] = []
        while let element = list.next(in: bytes.span) { found.append(HTTPSamples.text(element, of: value)) }
        #expect(found == elements && list.count == count)
    }

    @Test func findsTokens() {
        let bytes = Array("keep-alive, Upgrade".utf8)
        let found = TokenList.contains("upgrade", in: 0..<bytes.count, of: bytes.span)
        let part = TokenList.contains("keep", in: 0..<bytes.count, of: bytes.span)
        #expect(found && !part)
    }
}
