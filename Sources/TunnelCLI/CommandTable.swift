internal import TunnelCore

/// Every command of a program, and from it the parser and the help.
///
/// Both programs have such a table. One exists because a command line is read in two ways that must agree: what the
/// parser takes and what help, man page and completions show.
package struct CommandTable<Action: Sendable>: Sendable {
    package let program: String
    package let style: FlagStyle
    /// What the program is, in whole lines.
    let about: String
    /// What is run when no command is given; `nil` where one must be.
    package let root: Command<Action>?
    package let commands: [Command<Action>]
    /// What a group such as `tunnels` is about.
    let groups: [String: String]
    /// The end of the help, in whole lines.
    let notes: String

    package init(
        program: String, style: FlagStyle, about: String, root: Command<Action>? = nil, commands: [Command<Action>],
        groups: [String: String] = [:], notes: String
    ) {
        (self.program, self.style, self.about, self.root) = (program, style, about, root)
        (self.commands, self.groups, self.notes) = (commands, groups, notes)
    }

    /// What a command line asks for.
    package enum Call {
        /// The text of the help that was asked for.
        case help(String)
        case version
        case run(Command<Action>, Arguments)
    }

    /// Reads a command line, without the program's own name. Flags may stand before the command or behind it.
    ///
    /// - Throws: ``UsageError`` that names the argument, and the nearest known name for an unknown one.
    package func parse(_ arguments: [String]) throws(UsageError) -> Call {
        var reading = Reading(self)
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--", style == .long {
                reading.arguments.operands += rest
                break
            }
            if argument.hasPrefix("-"), argument != "-", argument != "--" {
                try reading.take(flag: argument, &rest)
            } else {
                try reading.take(word: argument)
            }
        }
        return try reading.finish()
    }

    /// Where in the table the command line has led so far.
    fileprivate struct Reading {
        let table: CommandTable
        var arguments = Arguments()
        private var command: Command<Action>?
        private var group: String?
        /// Flags in the order they came: those before the command are checked when it is known.
        private var given: [CommandFlag] = []
        private var wantsHelp = false
        private var wantsVersion = false

        init(_ table: CommandTable) { self.table = table }

        private var place: String? { command?.name ?? group }
        private func error(_ reason: String) -> UsageError { UsageError(reason, in: place) }
        private func written(_ name: String) -> String { table.style.dashes + name }

        // MARK: Words

        mutating func take(word: String) throws(UsageError) {
            if wantsVersion { throw unexpected(word) }
            if command != nil {
                arguments.operands.append(word)
            } else if let group {
                try take(word, of: group)
            } else if let found = table.commands.first(where: { $0.path == [word] }) {
                command = found
            } else if table.commands.contains(where: { $0.path.first == word }) {
                group = word
            } else if word == CommandFlag.help.name, !wantsHelp {
                wantsHelp = true
            } else if word == CommandFlag.version.name {
                wantsVersion = true
            } else {
                let hint = hint(word, among: table.names)
                switch table.style {
                case .go: throw error("unexpected argument \"\(Diagnostic.excerpt(word))\"\(hint)")
                case .long: throw error("unknown command \(Diagnostic.excerpt(word))\(hint)")
                }
            }
        }

        private mutating func take(_ word: String, of group: String) throws(UsageError) {
            command = table.commands.first { $0.path == [group, word] }
            guard command == nil else { return }
            let names = table.members(of: group).compactMap(\.path.last)
            let hint = hint(word, among: names)
            throw error(
                "unknown command \(group) \(Diagnostic.excerpt(word))\(hint), use \(table.choice(of: group))")
        }

        private func unexpected(_ word: String) -> UsageError {
            let shown = Diagnostic.excerpt(word)
            return error("unexpected argument \(table.style == .go ? "\"\(shown)\"" : shown)")
        }

        // MARK: Flags

        mutating func take(flag argument: String, _ rest: inout ArraySlice<String>) throws(UsageError) {
            let body = argument.drop { $0 == "-" }
            guard argument.count - body.count <= 2 else {
                throw error("bad flag syntax: \(Diagnostic.excerpt(argument))")
            }
            let parts = body.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = parts.first == "h" ? CommandFlag.help.name : String(parts.first ?? "")
            let attached = parts.count > 1 ? String(parts[1]) : nil
            let flag = try flag(name)
            if flag.value == nil {
                // `--json=true` is how some write a switch. A version is printed and not switched on.
                guard attached == nil || attached == "true" && flag != .version else {
                    throw error("flag takes no value: \(written(name))")
                }
                wantsHelp = wantsHelp || flag == .help
                wantsVersion = wantsVersion || flag == .version
                arguments.switches.insert(name)
            } else {
                guard let value = attached ?? rest.popFirst() else {
                    let noun = table.style == .go ? "an argument" : "a value"
                    throw error("flag needs \(noun): \(written(name))")
                }
                guard !value.isEmpty else {
                    let flag = written(name)
                    throw error(table.style == .go ? "flag \(flag) is empty" : "flag is empty: \(flag)")
                }
                if let before = arguments.values.updateValue(value, forKey: name) {
                    arguments.earlier[name, default: []].append(before)
                }
            }
            given.append(flag)
        }

        /// The flag of that name: of the command where it is known already, else of any.
        private func flag(_ name: String) throws(UsageError) -> CommandFlag {
            let known = command?.allFlags ?? table.allFlags
            if let flag = known.first(where: { $0.name == name }) { return flag }
            if let command, let flag = table.allFlags.first(where: { $0.name == name }) {
                throw strange(flag, to: command)
            }
            let hint = hint(name, among: known.map(\.name), style: table.style)
            let shown = written(Diagnostic.excerpt(name))
            switch table.style {
            case .go: throw error("flag provided but not defined: \(shown)\(hint)")
            case .long: throw error("unknown flag \(shown)\(hint)")
            }
        }

        /// A flag that only other commands have.
        private func strange(_ flag: CommandFlag, to command: Command<Action>) -> UsageError {
            let owners = flag == .version ? [table.program] : table.owners(of: flag)
            // A list of all of them would help nobody.
            guard owners.count <= 2 else {
                let place = command.path.isEmpty ? table.program : command.name
                return error("flag \(written(flag.name)) does not belong to \(place)")
            }
            return error("flag \(written(flag.name)) belongs to \(owners.joined(separator: " and "))")
        }

        private func hint(_ name: String, among known: [String], style: FlagStyle? = nil) -> String {
            suggestion(for: name, among: known).map { " (did you mean \(style?.dashes ?? "")\($0)?)" } ?? ""
        }

        // MARK: The end

        func finish() throws(UsageError) -> Call {
            let command = command ?? (group == nil ? table.root : nil)
            if let command {
                let own = command.path.isEmpty ? command.allFlags + [.version] : command.allFlags
                for flag in given where !own.contains(where: { $0.name == flag.name }) {
                    throw strange(flag, to: command)
                }
            }
            if wantsHelp {
                if let command = self.command { return .help(table.help(of: command)) }
                return .help(group.map { table.help(ofGroup: $0) } ?? table.help)
            }
            if wantsVersion { return .version }
            guard let command else {
                throw error(group.map { "say which: \(table.choice(of: $0))" } ?? "a command is needed")
            }
            let count = arguments.operands.count
            if count > command.operandCount.upperBound {
                throw unexpected(arguments.operands[command.operandCount.upperBound])
            }
            if count < command.operandCount.lowerBound { throw error("\(command.operands) is needed") }
            return .run(command, arguments)
        }
    }
}

// MARK: Look-ups

extension CommandTable {
    /// The first words of all commands, each once.
    var names: [String] { Set(commands.compactMap(\.path.first)).sorted() }

    func members(of group: String) -> [Command<Action>] { commands.filter { $0.path.first == group } }

    /// For example `tunnels list|get|archive`.
    func choice(of group: String) -> String {
        "\(group) \(members(of: group).compactMap(\.path.last).joined(separator: "|"))"
    }

    /// The flags of every command, and those of the program itself.
    var allFlags: [CommandFlag] { (root?.flags ?? []) + commands.flatMap(\.flags) + [.version, .help] }

    func owners(of flag: CommandFlag) -> [String] {
        let commands = ([root].compactMap { $0 } + commands).filter { command in
            command.flags.contains { $0.name == flag.name }
        }
        return commands.map { $0.path.isEmpty ? program : $0.name }
    }
}

/// The name that was most likely meant: the shortest that begins with what was written, else the nearest one.
///
/// - Returns: `nil` where nothing is near. One letter begins too many names.
func suggestion(for name: String, among known: [String]) -> String? {
    let longer = name.utf8.count > 1 ? known.filter { $0.hasPrefix(name) } : []
    return longer.min { ($0.count, $0) < ($1.count, $1) } ?? nearestName(to: name, among: known)
}
