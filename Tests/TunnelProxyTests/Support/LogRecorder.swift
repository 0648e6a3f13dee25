import Synchronization
import TunnelCore
import TunnelIO

/// Keeps the lines of a log.
final class LogRecorder: LogSink {
    private let kept = Mutex<[String]>([])
    private let signal = ThreadSignal()

    func write(_ line: Span<UInt8>) {
        let text = line.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        kept.withLock { $0.append(text) }
        signal.post()
    }

    var lines: [String] { kept.withLock { $0 } }

    func lines(with text: String) -> [String] { lines.filter { $0.contains(text) } }

    /// Waits until `count` lines hold `text`, and returns them; fewer after 20 seconds.
    func wait(for text: String, count: Int = 1) -> [String] {
        while true {
            let found = lines(with: text)
            if found.count >= count || !signal.wait(milliseconds: 20_000) { return found }
        }
    }

    func log(_ level: LogLevel = .debug) -> Log {
        Log(threshold: level, format: .text, sink: self, now: SystemClock.now)
    }
}
