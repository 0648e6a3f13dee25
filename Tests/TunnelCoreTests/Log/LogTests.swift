import Synchronization
import Testing
import TunnelCore

@Suite struct LogTests {
    final class Lines: LogSink {
        let lines = Mutex<[String]>([])
        func write(_ line: Span<UInt8>) {
            let text = line.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
            lines.withLock { $0.append(text) }
        }
        var all: [String] { lines.withLock { $0 } }
    }

    static func make(_ threshold: LogLevel, _ sink: Lines) -> Log {
        Log(threshold: threshold, format: .text, sink: sink) { UnixTime(seconds: 0) }
    }

    @Test(arguments: LogLevel.allCases) func writesFromTheThresholdOn(_ threshold: LogLevel) {
        let sink = Lines()
        let log = Self.make(threshold, sink)
        for level in LogLevel.allCases { log(level, "m") { $0.field("level", "\(level)") } }
        let expected = LogLevel.allCases.filter { $0 >= threshold }
        #expect(sink.all.map { $0.split(separator: "=")[1] } == expected.map { "\($0)\n" })
        #expect(LogLevel.allCases.filter { log.isEnabled($0) } == expected)
    }

    /// Below the threshold neither the message nor a field is worked out.
    @Test func costsNothingWhenOff() {
        let sink = Lines()
        let log = Self.make(.warn, sink)
        var evaluated = 0
        func message() -> String {
            evaluated += 1
            return "m"
        }
        log(.info, message()) { _ in evaluated += 1 }
        #expect(evaluated == 0 && sink.all.isEmpty)
        log(.warn, message()) { _ in evaluated += 1 }
        #expect(evaluated == 2 && sink.all == ["1970-01-01T00:00:00.000Z WARN m\n"])
    }

    /// A reload changes the threshold of every copy.
    @Test func copiesShareTheThreshold() {
        let sink = Lines()
        let log = Self.make(.info, sink), copy = log
        copy.threshold = .debug
        #expect(log.threshold == .debug)
        log(.debug, "m")
        #expect(sink.all.count == 1)
    }

    @Test func lineInsideALine() {
        let sink = Lines()
        let log = Self.make(.info, sink)
        log(.info, "outer") { line in
            log(.info, "inner")
            line.field("k", 1)
        }
        #expect(sink.all.map { String($0.dropFirst(25)) } == ["INFO inner\n", "INFO outer k=1\n"])
    }

    /// From many tasks at once, each line is whole.
    @Test func threadsDoNotMix() async {
        let sink = Lines()
        let log = Self.make(.info, sink)
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<20 {
                group.addTask { @concurrent in
                    for number in 0..<200 {
                        log(.info, "m") {
                            $0.field("task", task); $0.field("n", number)
                        }
                    }
                }
            }
        }
        let expected = (0..<20).flatMap { task in (0..<200).map { "INFO m task=\(task) n=\($0)\n" } }
        #expect(sink.all.map { String($0.dropFirst(25)) }.sorted() == expected.sorted())
    }
}
