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

/// A log that acts when a message comes.
final class Interceptor: LogSink {
    let recorder = LogRecorder()
    private let message: String
    private let action = Mutex<(@Sendable () -> Void)?>(nil)

    init(at message: String) { self.message = message }

    var log: Log { Log(threshold: .debug, format: .text, sink: self, now: SystemClock.now) }

    func then(_ action: @escaping @Sendable () -> Void) { self.action.withLock { $0 = action } }
    func forget() { action.withLock { $0 = nil } }

    func write(_ line: Span<UInt8>) {
        recorder.write(line)
        let text = line.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        if text.contains(message) { action.withLock { $0 }?() }
    }
}
