import TunnelCLI
import TunnelSetup

/// Several settings of one call are missing or wrong.
struct SettingsError: Error {
    enum Problem: Equatable {
        /// A flag or a variable.
        case usage(UsageError)
        /// A file or a folder.
        case failure(SetupError)
    }
    /// Two or more.
    let problems: [Problem]

    init(_ problems: [Problem]) { self.problems = problems }

    var reason: String { "\(problems.count) settings are missing or wrong" }

    /// Wrong usage goes before: it is what the command ends with when it is found alone.
    var status: ExitStatus {
        problems.contains { if case .usage = $0 { true } else { false } } ? .usage : .failed
    }
}

extension SettingsError.Problem {
    /// The part of the way that it belongs to.
    var hop: String {
        switch self {
        case .usage: "usage"
        case .failure(let error): error.hop.rawValue
        }
    }

    var reason: String {
        switch self {
        case .usage(let error): error.reason
        case .failure(let error): error.reason
        }
    }

    /// Empty where the reason says what is needed.
    var remedy: String {
        switch self {
        case .usage: ""
        case .failure(let error): error.remedy
        }
    }

    /// For a list.
    var text: String {
        switch self {
        case .usage(let error): "  - \(error.reason)"
        case .failure(let error): "  - \("\(error)".split(separator: "\n").joined(separator: "\n  "))"
        }
    }
}
