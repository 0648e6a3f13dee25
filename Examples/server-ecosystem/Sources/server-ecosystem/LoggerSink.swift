// docs/embedding.md
import Logging
import TunnelCore

/// Hands the lines of a log in text format to the program's logger: `time LEVEL message key=value`.
final class LoggerSink: LogSink {
    private let logger: Logger
    init(_ logger: Logger) { self.logger = logger }

    func write(_ line: Span<UInt8>) {
        let text = line.withUnsafeBytes { String(decoding: $0.dropLast(), as: UTF8.self) }
        let words = text.split(separator: " ", maxSplits: 2)
        // A line of JSON, where the log has that format, has other words.
        guard words.count == 3, text.first != "{" else { return logger.log(level: .info, "\(text)") }
        logger.log(level: Logger.Level(rawValue: words[1].lowercased()) ?? .warning, "\(words[2])")
    }
}
// docs/embedding.md
