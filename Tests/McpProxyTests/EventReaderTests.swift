import Testing

@testable import mcp_proxy

@Suite struct EventReaderTests {
    private static let streams: [(String, [String])] = [
        ("data: a\n\n", ["a"]), ("data:a\n\n", ["a"]), ("data:  a\n\n", [" a"]),
        ("event: message\nid: 3\ndata: {\"a\":1}\n\ndata: b\n\n", ["{\"a\":1}", "b"]),
        ("data: a\ndata: b\n\n", ["a\nb"]),
        (": comment\n\nretry: 3\n\n", []),
        ("data: not ended\n", []),
        ("data: é\n\n", ["é"]),
    ]

    @Test(arguments: streams) func anySplitGivesTheSameEvents(_ text: String, _ events: [String]) {
        let bytes = Array(text.utf8)
        for split in 0...bytes.count {
            var reader = EventReader()
            #expect(reader.take(Array(bytes[..<split])) + reader.take(Array(bytes[split...])) == events)
        }
        var reader = EventReader()
        #expect(bytes.flatMap { reader.take([$0]) } == events)
    }
}
