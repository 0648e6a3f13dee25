/// One command of setup: how it is called, what it does, and the help for it.
struct Command: Sendable {
    /// For example `["tunnels", "list"]`.
    let path: [String]
    /// What follows the flags, as the help tells it.
    var operands = ""
    var operandCount = 0...0
    /// In half a sentence.
    let summary: String
    /// More of it, in whole lines.
    var details = ""
    let flags: [Flag]
    let example: String
    let run: @Sendable (Invocation) async throws -> ExitStatus

    var name: String { path.joined(separator: " ") }
    var allFlags: [Flag] { flags + [.help] }

    var help: String {
        let call = ["setup \(name)", "[flags]", operands].filter { !$0.isEmpty }.joined(separator: " ")
        let labels = allFlags.map { "--\($0.name)\($0.value.map { " \($0)" } ?? "")" }
        let width = (labels.map(\.count).max() ?? 0) + 2
        let lines = zip(allFlags, labels).map { flag, label in
            let variable = flag.variable.map { " [\($0)]" } ?? ""
            return "  \(label)\(String(repeating: " ", count: width - label.count))\(flag.meaning)\(variable)"
        }
        return """
            Usage: \(call)

            \(summary.prefix(1).uppercased())\(summary.dropFirst()).\(details.isEmpty ? "" : "\n\(details)")

            \(lines.joined(separator: "\n"))

            Example:
              \(example)

            """
    }
}
