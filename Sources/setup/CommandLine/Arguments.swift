import TunnelCore

/// What was given to one command, in Go's grammar: one or two dashes, `-flag value` or `-flag=value`.
struct Arguments: Equatable {
    private(set) var values: [String: String] = [:]
    private(set) var switches: Set<String> = []
    private(set) var positionals: [String] = []

    /// - Throws: ``UsageError`` that names the argument, and for an unknown flag the nearest known one.
    init(_ arguments: [String], flags: [Flag]) throws(UsageError) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("-"), argument != "-" else {
                positionals.append(argument)
                continue
            }
            if argument == "--" {
                positionals += rest
                break
            }
            let body = argument.drop { $0 == "-" }
            guard argument.count - body.count <= 2 else { throw UsageError("bad flag syntax: \(shown(argument))") }
            let parts = body.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = parts.first == "h" ? "help" : String(parts.first ?? "")
            let attached = parts.count > 1 ? String(parts[1]) : nil
            guard let flag = flags.first(where: { $0.name == name }) else {
                let hint = nearestName(to: name, among: flags.map(\.name)).map { " (did you mean --\($0)?)" }
                throw UsageError("unknown flag --\(shown(name))\(hint ?? "")")
            }
            if flag.value == nil {
                guard attached == nil || attached == "true" else { throw UsageError("flag takes no value: --\(name)") }
                switches.insert(name)
            } else {
                guard let value = attached ?? rest.popFirst() else { throw UsageError("flag needs a value: --\(name)") }
                guard !value.isEmpty else { throw UsageError("flag is empty: --\(name)") }
                values[name] = value
            }
        }
    }

    func has(_ flag: Flag) -> Bool { switches.contains(flag.name) }
}

/// An argument fit for a message: on one line, in a bounded length.
private func shown(_ argument: String) -> String { Diagnostic.excerpt(argument) }
