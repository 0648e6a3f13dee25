internal import Synchronization

/// Where the lines of a log go.
public protocol LogSink: AnyObject, Sendable {
    /// Takes one whole line, its newline included. Called from any thread, on the loops too, so it must never block: it
    /// copies the bytes or drops the line.
    func write(_ line: Span<UInt8>)
    /// A sink to the same end for one thread that writes many lines; `self` where nothing is gained by another.
    func forOneThread() -> any LogSink
    /// Lines that were not written because the way to the end was full.
    var droppedLines: UInt64 { get }
}

extension LogSink {
    public func forOneThread() -> any LogSink { self }
    public var droppedLines: UInt64 { 0 }
}

/// The log: `log(.info, "request started") { $0.field("route", route) }`.
///
/// A line below the threshold costs one atomic load: neither the message nor the fields are evaluated. A line that is
/// written is built in reused memory. Values are fields, never spliced into the message: operators search for messages.
/// Copies share the threshold, so a reload that changes it changes it everywhere.
public struct Log: Sendable {
    private let target: LogTarget

    /// - Parameter now: the real-time clock; called once a line.
    public init(
        threshold: LogLevel, format: LogFormat, sink: any LogSink, now: @escaping @Sendable () -> UnixTime
    ) {
        target = LogTarget(LogThreshold(threshold), format: format, sink: sink, now: now)
    }

    private init(_ target: LogTarget) { self.target = target }

    /// The same log, threshold included, for one thread that writes many lines: with memory and a way to the sink of its own,
    /// so that no two threads wait for each other. Any thread may still use it.
    public func forOneThread() -> Log {
        Log(LogTarget(target.threshold, format: target.format, sink: target.sink.forOneThread(), now: target.now))
    }

    /// The lowest level that is written. May be set at any time, from any thread.
    public var threshold: LogLevel {
        get { LogLevel(rank: target.threshold.rank.load(ordering: .relaxed)) ?? .info }
        nonmutating set { target.threshold.rank.store(newValue.rank, ordering: .relaxed) }
    }

    /// Lines that the sink could not take, in all.
    public var droppedLines: UInt64 { target.sink.droppedLines }

    /// Whether lines of `level` are written, for work beyond a line's own.
    public func isEnabled(_ level: LogLevel) -> Bool {
        level.rank >= target.threshold.rank.load(ordering: .relaxed)
    }

    /// Where the lines go.
    package var sink: any LogSink { target.sink }

    /// Writes one line, if its level is enabled.
    public func callAsFunction(
        _ level: LogLevel, _ message: @autoclosure () -> String, _ fields: (inout LogLine) -> Void = { _ in }
    ) {
        guard isEnabled(level) else { return }
        var line = target.takeLine()
        line.begin(level, at: target.now(), message())
        fields(&line)
        line.end()
        line.withBytes { target.sink.write($0) }
        target.giveBack(line)
    }
}

/// The lowest level that is written, of all logs to one sink.
private final class LogThreshold: Sendable {
    let rank: Atomic<UInt8>
    init(_ level: LogLevel) { rank = Atomic(level.rank) }
}

/// What the copies of a log share.
private final class LogTarget: Sendable {
    let threshold: LogThreshold
    let format: LogFormat
    let sink: any LogSink
    let now: @Sendable () -> UnixTime
    /// Lines not in use. No lock is held while a line is built, so one line may be begun inside another.
    private let spares = Mutex(SpareLines())

    init(
        _ threshold: LogThreshold, format: LogFormat, sink: any LogSink, now: @escaping @Sendable () -> UnixTime
    ) {
        (self.threshold, self.format, self.sink, self.now) = (threshold, format, sink, now)
    }

    func takeLine() -> LogLine {
        spares.withLock { $0.take() } ?? LogLine(format: format)
    }

    func giveBack(_ line: consuming LogLine) {
        var line: LogLine? = consume line
        spares.withLock { spares in
            if let line = line.take() { spares.put(line) }
        }
    }
}

/// Lines at rest: as many as threads are expected to log at the same moment. Those beyond allocate.
private struct SpareLines: ~Copyable {
    private var lines = InlineArray<8, LogLine?> { _ in nil }

    mutating func take() -> LogLine? {
        for index in lines.indices {
            if let line = lines[index].take() { return line }
        }
        return nil
    }

    mutating func put(_ line: consuming LogLine) {
        for index in lines.indices where lines[index] == nil {
            lines[index] = consume line
            return
        }
    }
}

/// How much a line of the log matters. A log writes the lines at or above its threshold.
///
/// The raw value is the level as it stands in a configuration.
@nonexhaustive
public enum LogLevel: String, Sendable, Comparable, CaseIterable {
    case debug, info, warn, error

    public static func < (a: Self, b: Self) -> Bool { a.rank < b.rank }

    /// The place in the order of levels, from 0.
    var rank: UInt8 {
        switch self {
        case .debug: 0
        case .info: 1
        case .warn: 2
        case .error: 3
        }
    }

    init?(rank: UInt8) {
        guard let level = Self.allCases.first(where: { $0.rank == rank }) else { return nil }
        self = level
    }

    /// The level as a line shows it.
    var label: StaticString {
        switch self {
        case .debug: "DEBUG"
        case .info: "INFO"
        case .warn: "WARN"
        case .error: "ERROR"
        }
    }
}

/// How the log's lines are written.
@nonexhaustive
public enum LogFormat: String, Sendable, CaseIterable {
    /// `time LEVEL message key=value`, for people.
    case text
    /// One JSON object a line (RFC 8259) with `time`, `level`, `msg` and the fields, for machines.
    case json
}
