/// One flag of a command, as it is parsed and as the help shows it.
package struct CommandFlag: Equatable, Sendable {
    /// Without dashes, in lower case.
    package let name: String
    /// What stands for its value in the help, for example `PATH`; `nil` for a flag without a value.
    package let value: String?
    package let meaning: String
    /// The environment variable that is read where the flag is not given.
    package let variable: String?

    package init(_ name: String, takes value: String? = nil, variable: String? = nil, _ meaning: String) {
        (self.name, self.value, self.variable, self.meaning) = (name, value, variable, meaning)
    }

    package static let help = CommandFlag("help", "print this and exit")
    package static let version = CommandFlag("version", "print the versions and exit")
}

/// How a program writes its flags in help and messages. On the command line one dash or two mean the same to both.
package enum FlagStyle: Sendable {
    /// One dash, and the messages of Go's flag package: for mcp-proxy, which takes the place of a program written in
    /// Go. There `--` has no meaning.
    case go
    /// Two dashes. What follows `--` is no flag.
    case long

    var dashes: String {
        switch self {
        case .go: "-"
        case .long: "--"
        }
    }
}

/// One command of a program: how it is called, what it does, and what its help says.
///
/// `Action` is what the program runs for it. The table only hands it back.
package struct Command<Action: Sendable>: Sendable {
    /// For example `["tunnels", "list"]`; empty for what the program does when no command is given.
    package let path: [String]
    /// What follows the flags, as the help shows it.
    package let operands: String
    package let operandCount: ClosedRange<Int>
    /// Half a sentence, without a full stop.
    package let summary: String
    /// More of it, in whole lines.
    package let details: String
    /// Without `help`, which every command has.
    package let flags: [CommandFlag]
    package let example: String
    package let action: Action

    package init(
        path: [String], operands: String = "", operandCount: ClosedRange<Int> = 0...0, summary: String,
        details: String = "", flags: [CommandFlag] = [], example: String, action: Action
    ) {
        (self.path, self.operands, self.operandCount) = (path, operands, operandCount)
        (self.summary, self.details, self.flags) = (summary, details, flags)
        (self.example, self.action) = (example, action)
    }

    package var name: String { path.joined(separator: " ") }
    package var allFlags: [CommandFlag] { flags + [.help] }
}

/// What was given to one command.
package struct Arguments: Equatable, Sendable {
    /// By the flags' names. Where a flag is given twice, the last one counts.
    package internal(set) var values: [String: String] = [:]
    /// What ``values`` no longer has, because the flag came again.
    package internal(set) var earlier: [String: [String]] = [:]
    /// The flags without a value.
    package internal(set) var switches: Set<String> = []
    package internal(set) var operands: [String] = []

    package init() {}

    package func has(_ flag: CommandFlag) -> Bool { switches.contains(flag.name) }
    package subscript(flag: CommandFlag) -> String? { values[flag.name] }
    /// Every value of a flag that may be repeated, in their order.
    package func all(_ flag: CommandFlag) -> [String] {
        (earlier[flag.name] ?? []) + [values[flag.name]].compactMap { $0 }
    }
}

/// What is wrong with a command line, or with the environment that belongs to it.
package struct UsageError: Error, Equatable {
    package let reason: String
    /// The command or group that it is about, if that is known.
    package let command: String?

    package init(_ reason: String, in command: String? = nil) { (self.reason, self.command) = (reason, command) }
}

/// What a process ends with.
package enum ExitStatus: Int32, Sendable {
    case done = 0
    /// Something failed, or a check found something.
    case failed = 1
    case usage = 2
}
