import Glibc
import Synchronization
import TunnelCore

/// Shows what the demo does: one line for each step with the time it took, details below it.
struct DemoStory {
    private let colours: Bool
    private let clock = ContinuousClock()
    private var stepBegan: ContinuousClock.Instant
    private var title = ""

    init(colours: Bool = DemoStory.isColourWanted()) {
        self.colours = colours
        stepBegan = clock.now
    }

    /// Only on a terminal, and not where https://no-color.org is followed.
    private static func isColourWanted() -> Bool {
        let refusal = getenv("NO_COLOR").map { $0.pointee != 0 } ?? false
        let isDumb = getenv("TERM").map { String(cString: $0) == "dumb" } ?? false
        return isatty(1) == 1 && !refusal && !isDumb
    }

    /// Since the step began.
    var elapsed: Duration { clock.now - stepBegan }

    mutating func begin(_ title: String) {
        self.title = title
        stepBegan = clock.now
    }

    /// Ends the step that was begun.
    func done(_ detail: String) {
        let gap = String(repeating: " ", count: max(1, 27 - title.count))
        print("\(Self.time(elapsed))  \(paint("✓", .green)) \(paint(title, .bold))\(gap)\(detail)")
    }

    /// Ends the demo in the midst of a step.
    func failed(_ reason: String) {
        print("\(Self.time(elapsed))  \(paint("✗", .red)) \(paint(title, .bold))")
        fflush(nil)
        let text = "mcp-proxy demo: \(title): \(reason)\n"
        _ = Array(text.utf8).withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    }

    /// What the steps below it have in common.
    func note(_ text: String) { print("              \(paint(text, .bold))") }

    func detail(_ text: String) { print("              \(paint(text, .dim))") }

    /// A detail that came while the step was under way.
    func detail(after time: Duration, _ text: String) {
        print("  \(paint("+" + Self.time(time), .dim))  \(paint(text, .dim))")
    }

    func heading(_ text: String) { print("\n\(paint(text, .bold))\n") }

    func picture(_ lines: [String]) { print(lines.map { "  " + $0 }.joined(separator: "\n") + "\n") }

    /// For example `    1.2 ms`.
    static func time(_ duration: Duration) -> String {
        let tenths = Int(duration / .microseconds(100))
        let text = "\(tenths / 10).\(tenths % 10) ms"
        return String(repeating: " ", count: max(0, 10 - text.utf8.count)) + text
    }

    private enum Style: String {
        case bold = "1", dim = "2", red = "31", green = "32"
    }

    private func paint(_ text: String, _ style: Style) -> String {
        colours ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
    }
}

/// Keeps the proxy's log, for the demo to quote from.
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
