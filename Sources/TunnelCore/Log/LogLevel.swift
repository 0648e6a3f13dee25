/// How much a line of the log matters. A log writes the lines at or above its threshold.
///
/// The raw value is the level as it stands in a configuration.
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
public enum LogFormat: String, Sendable, CaseIterable {
    /// `time LEVEL message key=value`, for people.
    case text
    /// One JSON object a line (RFC 8259) with `time`, `level`, `msg` and the fields, for machines.
    case json
}
