import Synchronization
import TunnelCore

/// Keeps the proxy's log, for the demo to tell from.
final class LogLines: LogSink {
    private let lines = Mutex<[String]>([])

    func write(_ line: Span<UInt8>) {
        let text = line.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        lines.withLock { $0.append(text) }
    }

    /// The lines with `message` and, where given, `field`, without their newline.
    func lines(_ message: String, with field: String = "") -> [String] {
        lines.withLock { $0 }.filter { $0.contains(" \(message) ") && $0.contains(field) }.map { String($0.dropLast()) }
    }
}
