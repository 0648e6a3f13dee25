internal import TunnelCore

/// Where a configuration was read: its file, and the place of each field in it. Two that differ in this alone are the same
/// configuration.
struct ConfigurationPlaces: Sendable, Equatable {
    var file: String?
    var marks: [String: YAMLMark] = [:]

    static func == (a: Self, b: Self) -> Bool { true }
}

extension ProxyConfiguration {
    /// The error about a field's value that only its use has shown, with the place where it stands.
    func error(_ field: String, _ problem: String, remedy: String) -> ConfigurationError {
        ConfigurationError([diagnostic(field, problem, remedy: remedy)])
    }

    func diagnostic(_ field: String, _ problem: String, remedy: String) -> Diagnostic {
        Diagnostic(file: places.file, mark: places.marks[field], field: field, problem: problem, remedy: remedy)
    }
}
