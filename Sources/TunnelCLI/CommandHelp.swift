/// What a program prints of its table, without a line feed at the end. Man pages, completions and documents are held against these texts by tests.
extension CommandTable {
    /// The help of the whole program.
    package var help: String {
        let calls = root == nil ? ["\(program) COMMAND [flags]"] : ["\(program) [flags]", "\(program) COMMAND [flags]"]
        return """
            Usage: \(calls.joined(separator: "\n       "))

            \(about)

            \(root == nil ? shortList : longList)

            \(notes)
            """
    }

    /// The commands in a line each, where there are many of them.
    private var shortList: String {
        var rows = commands.map { ("  \($0.name)", $0.summary) }
        let own = [
            ("  \(style.dashes)version", CommandFlag.version.meaning),
            ("  COMMAND \(style.dashes)help", "flags and an example"),
        ]
        rows = CommandTable.aligned(rows + own)
        return lines(rows.dropLast(own.count)) + "\n\n" + lines(rows.suffix(own.count))
    }

    /// The commands with their flags, where there are few.
    private var longList: String {
        let own = rows((root?.flags ?? []) + [.version, .help], indent: 2)
        var rows = own
        for command in commands {
            rows.append(("  \(command.name)", command.summary))
            rows += self.rows(command.flags, indent: 4)
        }
        rows = CommandTable.aligned(rows)
        return lines(rows.prefix(own.count)) + "\n\n" + lines(rows.dropFirst(own.count))
    }

    /// The help of a group of commands, such as `tunnels`.
    package func help(ofGroup group: String) -> String {
        let rows = CommandTable.aligned(members(of: group).map { ("  \($0.name)", $0.summary) })
        return """
            Usage: \(program) \(group) COMMAND [flags]

            \(sentence(groups[group] ?? ""))

            \(lines(rows[...]))

            Each has \(style.dashes)help.
            """
    }

    /// The help of one command.
    package func help(of command: Command<Action>) -> String {
        let call = [program, command.name, "[flags]", command.operands].filter { !$0.isEmpty }.joined(separator: " ")
        let rows = CommandTable.aligned(rows(command.allFlags, indent: 2))
        return """
            Usage: \(call)

            \(sentence(command.summary))\(command.details.isEmpty ? "" : "\n\(command.details)")

            \(lines(rows[...]))

            Example:
              \(command.example)
            """
    }

    /// One line about a wrong call, for example `setup init: flag is empty: --output (setup init --help lists the flags)`.
    ///
    /// - Parameter command: the one that was running, for an error that does not name its own.
    package func message(_ error: UsageError, in command: Command<Action>? = nil) -> String {
        "\(place(error, command)): \(error.reason) (\(remedy(error, in: command)))"
    }

    /// What to do about a wrong call.
    package func remedy(_ error: UsageError, in command: Command<Action>? = nil) -> String {
        let place = place(error, command)
        let isCommand = command?.path.isEmpty == false || commands.contains { $0.name == error.command }
        let what = isCommand ? "flags" : root == nil ? "commands" : "flags and commands"
        return "\(place) \(style.dashes)help lists the \(what)"
    }

    private func place(_ error: UsageError, _ command: Command<Action>?) -> String {
        [program, error.command ?? command?.name ?? ""].filter { !$0.isEmpty }.joined(separator: " ")
    }

    // MARK: Columns

    private func rows(_ flags: [CommandFlag], indent: Int) -> [(String, String)] {
        flags.map { flag in
            let value = flag.value.map { " \($0)" } ?? ""
            let variable = flag.variable.map { " [\($0)]" } ?? ""
            let label = "\(String(repeating: " ", count: indent))\(style.dashes)\(flag.name)\(value)"
            return (label, flag.meaning + variable)
        }
    }

    /// The first column as wide as its widest entry and two blanks.
    private static func aligned(_ rows: [(String, String)]) -> [(String, String)] {
        let width = (rows.map(\.0.count).max() ?? 0) + 2
        return rows.map { ($0 + String(repeating: " ", count: width - $0.count), $1) }
    }

    private func lines(_ rows: ArraySlice<(String, String)>) -> String {
        rows.map { $0 + $1 }.joined(separator: "\n")
    }

    private func sentence(_ text: String) -> String { "\(text.prefix(1).uppercased())\(text.dropFirst())." }
}
