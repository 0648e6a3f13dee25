@preconcurrency import Glibc  // C's variables, such as stderr
import Synchronization

// What the snippets use of swift-log, in the same shape; here so that they compile without a network.

public struct Logger: Sendable {
    public enum Level: String, Sendable { case trace, debug, info, notice, warning, error, critical }

    public struct Message: ExpressibleByStringInterpolation, Sendable {
        public let text: String
        public init(stringLiteral value: String) { text = value }
    }

    private let append: @Sendable (String) -> Void
    /// As without another handler: to standard error.
    public init(label: String) { append = { fputs("\(label): \($0)\n", stderr) } }
    public init(_ lines: Lines) { append = { lines.append($0) } }

    public func log(level: Level, _ message: @autoclosure () -> Message) {
        append("\(level) \(message().text)")
    }

    /// Stands for a handler.
    public final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        public init() {}
        public var all: [String] { lines.withLock { $0 } }
        fileprivate func append(_ line: String) { lines.withLock { $0.append(line) } }
    }
}
