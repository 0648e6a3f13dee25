import Testing

@testable import tunnel_bench

/// Both versions of HTTP have to be asked the same, or their ratio says nothing.
struct StreamRequestsTests {
    private func text(_ bytes: [UInt8]) -> [Substring] {
        String(decoding: bytes, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: false)
    }

    @Test func asksTheSameAsHTTP1() {
        let old = text(SampleRequests.call(host: "r1.bench.test"))
        let new = text(StreamRequests.call(host: "r1.bench.test"))
        #expect(new.prefix(4) == [":method: POST", ":scheme: https", ":path: /mcp", ":authority: r1.bench.test"])
        #expect(new.dropFirst(4).map { $0.lowercased() } == old.dropFirst(2).dropLast(2).map { $0.lowercased() } + [""])
        #expect(new.contains("mcp-session-id: 5f2b1c9e8d7a4f60b3a1c2d4e5f60718"))
    }

    @Test func noLengthWithoutBody() {
        let lines = text(StreamRequests.events(host: "r0.bench.test", rate: 20))
        #expect(lines[2] == ":path: /events/20")
        #expect(!lines.contains { $0.hasPrefix("content-") })
    }
}
