/// How much a line of the log matters. A log writes the lines at or above its threshold.
public enum LogLevel: UInt8, Sendable, Comparable, CaseIterable {
    case debug, info, warn, error

    /// Reads a level as it stands in the configuration: `debug`, `info`, `warn` or `error`, exactly.
    public init?(_ text: String) {
        guard let level = Self.allCases.first(where: { "\($0)" == text }) else { return nil }
        self = level
    }

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

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
public enum LogFormat: String, Sendable, CaseIterable {
    /// `time LEVEL message key=value`, for people.
    case text
    /// One JSON object a line (RFC 8259) with `time`, `level`, `msg` and the fields, for machines.
    case json
}
