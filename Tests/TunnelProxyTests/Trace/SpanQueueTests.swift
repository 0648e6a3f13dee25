import Testing
import TunnelCore

@testable import TunnelProxy

@Suite struct SpanQueueTests {
    private func entry(_ spans: Int, _ byte: UInt8 = 0) -> SpanQueue.Entry {
        SpanQueue.Entry(bytes: [byte], spans: spans)
    }

    /// As many as there is room for, and one more.
    @Test func holdsSoManyAndNoMore() {
        let queue = SpanQueue(SpanQueue.Limits(spans: 6, batch: 6))
        for _ in 0..<3 { _ = queue.put(entry(2)) }
        #expect(queue.waiting == 6 && queue.counts.dropped == 0)
        #expect(queue.put(entry(1)) == .nothing)
        #expect(queue.waiting == 6 && queue.counts.dropped == 1)
        #expect(queue.put(entry(2)) == .nothing)
        #expect(queue.counts.dropped == 3)
        #expect(queue.take().count == 3)
        _ = queue.put(entry(2))
        #expect(queue.waiting == 2 && queue.counts.dropped == 3)
    }

    /// Whoever sends is told of the first span and of the one that makes a batch, and of no other.
    @Test func saysWhenThereIsSomethingToDo() {
        let queue = SpanQueue(SpanQueue.Limits(spans: 100, batch: 4))
        #expect(queue.put(entry(1)) == .startClock)
        #expect(queue.put(entry(2)) == .nothing)
        #expect(queue.put(entry(2)) == .send)
        #expect(queue.put(entry(2)) == .nothing)
        while !queue.take().isEmpty {}
        #expect(queue.put(entry(4)) == .send)
    }

    @Test func givesTheOldestInBatches() {
        let queue = SpanQueue(SpanQueue.Limits(spans: 100, batch: 5))
        for (index, spans) in [2, 2, 2, 1, 9, 1].enumerated() { _ = queue.put(entry(spans, UInt8(index))) }
        var batches: [[UInt8]] = []
        while true {
            let batch = queue.take()
            if batch.isEmpty { break }
            batches.append(batch.flatMap(\.bytes))
        }
        // One that is larger than a batch goes alone.
        #expect(batches == [[0, 1], [2, 3], [4], [5]])
        #expect(queue.waiting == 0)
    }
}

@Suite struct SessionHashesTests {
    private func hash(_ text: String, _ hashes: inout SessionHashes) -> UInt64? {
        hashes.hash(of: Array(text.utf8).span)
    }

    /// The first 16 digits of what `sha256sum` prints, the second time from memory.
    @Test func isTheBeginningOfSHA256() {
        var hashes = SessionHashes()
        for _ in 0..<2 {
            #expect(hash("abc", &hashes) == 0xBA78_16BF_8F01_CFEA)
            #expect(hash("", &hashes) == 0xE3B0_C442_98FC_1C14)
        }
    }

    /// More sessions than are remembered, in turn.
    @Test func neverMixesTwoUp() {
        var (hashes, fresh) = (SessionHashes(), SessionHashes())
        let known = (0..<1_000).map { hash("session-\($0)", &fresh) }
        #expect(Set(known).count == 1_000)
        for _ in 0..<3 { #expect((0..<1_000).map { hash("session-\($0)", &hashes) } == known) }
    }
}

@Suite struct ResourceNameTests {
    private func shown(_ text: String) -> String {
        let bytes = Array(text.utf8)
        guard let parts = ResourceName.shown(bytes.span) else { return text }
        return String(decoding: bytes[parts.scheme] + bytes[parts.rest], as: UTF8.self)
    }

    @Test(arguments: [
        ("add", "add"), ("what is this?", "what is this?"), ("a@b", "a@b"), ("", ""), ("file:///a/b", "file:///a/b"),
        ("https://h/p?token=s3cret", "https://h/p"), ("https://h?s3cret", "https://h"),
        ("https://h#s3cret", "https://h"),
        ("postgres://u:s3cret@h:5432/db", "postgres://h:5432/db"), ("x://s3cret@s3cret@h/a@b", "x://h/a@b"),
        ("://", "://"), ("x://s3cret@", "x://"), ("x:/a?b", "x:/a?b"),
    ]) func leavesOutWhatMayBeSecret(_ text: String, _ expected: String) { #expect(shown(text) == expected) }
}

@Suite struct RetryAfterTests {
    private let now = UnixTime(seconds: 784_111_777)

    @Test(arguments: [
        ("0", 0), ("3", 3), ("300", 300), ("301", 300), ("99999999999999999999", 300),
        ("Sun, 06 Nov 1994 08:49:40 GMT", 3), ("Sun, 06 Nov 1994 08:49:30 GMT", 0),
    ]) func reads(_ text: String, _ seconds: UInt64) {
        #expect(OTLPCall.wait(text, now: now) == seconds * 1_000_000_000)
    }

    @Test(arguments: ["", "-1", "1.5", "soon", " 1"]) func ignores(_ text: String) {
        #expect(OTLPCall.wait(text, now: now) == nil)
    }
}
