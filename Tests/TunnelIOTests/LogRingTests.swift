import Glibc
import Testing
import TunnelCore

@testable import TunnelIO

@Suite struct LogRingTests {
    private func ring(_ lines: [String], maxLines: Int = 2_000, maxBytes: Int = 1 << 20) -> LogRing {
        let ring = LogRing(maxLines: maxLines, maxBytes: maxBytes)
        for line in lines { ring.append(Array("\(line)\n".utf8).span) }
        return ring
    }

    /// At the bound and one beyond it, and for as long that what is behind the front is let go of.
    @Test(arguments: [0, 1, 9, 10, 11, 100]) func keepsTheLastLines(_ count: Int) {
        let ring = ring((0..<count).map { "line \($0)" }, maxLines: 10)
        #expect(ring.last == UInt64(count))
        let lines = ring.lines(limit: 1_000)
        #expect(lines.map(\.text) == (max(0, count - 10)..<count).map { "line \($0)" })
        #expect(lines.map(\.number) == (max(0, count - 10)..<count).map { UInt64($0 + 1) })
    }

    /// Each line has four bytes and a newline.
    @Test(arguments: [(50, 10), (49, 9), (5, 1), (4, 0)]) func keepsSoManyBytes(_ maxBytes: Int, _ count: Int) {
        #expect(ring((10..<30).map { "no\($0)" }, maxBytes: maxBytes).lines(limit: 99).count == count)
    }

    @Test func severalLinesAtOnce() {
        let ring = LogRing()
        ring.append(Array("a\n\nb\n".utf8).span)
        #expect(ring.lines(limit: 9).map(\.text) == ["a", "", "b"])
    }

    @Test func onlyNewerOnesAndOnlySoMany() {
        let ring = ring((1...9).map { "\($0)" })
        #expect(ring.lines(after: 6, limit: 99).map(\.text) == ["7", "8", "9"])
        #expect(ring.lines(after: 6, limit: 2).map(\.text) == ["8", "9"])
        #expect(ring.lines(after: 9, limit: 99).isEmpty && ring.lines(after: .max, limit: 99).isEmpty)
    }

    @Test(arguments: [LogFormat.text, .json]) func knowsTheLevels(_ format: LogFormat) {
        let ring = LogRing()
        var line = LogLine(format: format)
        for level in LogLevel.allCases {
            line.begin(level, at: UnixTime(seconds: 0), "words")
            line.field("key", "INFO")
            line.end()
            line.withBytes { ring.append($0) }
        }
        #expect(ring.lines(limit: 9).map(\.level) == LogLevel.allCases)
        for (index, level) in LogLevel.allCases.enumerated() {
            #expect(ring.lines(limit: 9, from: level).count == LogLevel.allCases.count - index)
        }
    }

    /// What is no line of ours counts as of any level, and is no reason to stop.
    @Test(arguments: ["", "{", "words", "{\"time\":\"", String(repeating: "x", count: 60)]) func otherText(
        _ text: String
    ) {
        #expect(ring([text]).lines(limit: 9, from: .error).map(\.text) == [text])
        #expect(ring([text]).lines(limit: 9)[0].level == nil)
    }

    /// The writer's thread puts in what it writes, dropped lines and all.
    @Test func theWriterKeepsWhatItWrites() throws {
        let ring = LogRing()
        let null = open("/dev/null", O_WRONLY)
        defer { close(null) }
        let writer = try LogWriter(descriptor: null, keeping: ring) { _ in [] }
        for number in 0..<100 { writer.write(Array("line \(number)\n".utf8).span) }
        #expect(writer.finish(milliseconds: 20_000))
        #expect(ring.lines(limit: 200).map(\.text) == (0..<100).map { "line \($0)" })
    }
}
