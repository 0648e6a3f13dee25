import Testing

@testable import TunnelCLI

/// What one command makes of its flags and operands, in both styles.
@Suite struct ArgumentsTests {
    private static func table(_ style: FlagStyle) -> CommandTable<Int> {
        let flags = [
            CommandFlag("output", takes: "PLACE", "where"), CommandFlag("token-version", takes: "VERSION", "which"),
            CommandFlag("json", "as JSON"),
        ]
        let command = Command(
            path: ["make"], operands: "[WORD...]", operandCount: 0...9, summary: "make it", flags: flags,
            example: "test make", action: 1)
        return CommandTable(program: "test", style: style, about: "Tests.", commands: [command], notes: "Notes.")
    }

    private static func parse(_ arguments: [String], _ style: FlagStyle = .long) throws -> Arguments {
        guard case .run(_, let parsed) = try table(style).parse(["make"] + arguments) else {
            throw UsageError("not a command")
        }
        return parsed
    }

    private struct Parsed: Equatable, CustomStringConvertible {
        var values: [String: String] = [:]
        var switches: Set<String> = []
        var operands: [String] = []
        var description: String { "\(values) \(switches) \(operands)" }
    }

    /// One row is one behaviour.
    private static let accepted: [([String], Parsed)] = [
        ([], Parsed()),
        (["--output=dir:/data"], Parsed(values: ["output": "dir:/data"])),
        (["-output=dir:/data"], Parsed(values: ["output": "dir:/data"])),
        (["--output", "dir:/data"], Parsed(values: ["output": "dir:/data"])),
        // What is behind the first = is the value, others in it too.
        (["--output=dir:a=b"], Parsed(values: ["output": "dir:a=b"])),
        // As in Go, a value may look like a flag.
        (["--token-version", "-1"], Parsed(values: ["token-version": "-1"])),
        (["--token-version=1", "--token-version=2"], Parsed(values: ["token-version": "2"])),
        (["--json"], Parsed(switches: ["json"])),
        (["--json=true"], Parsed(switches: ["json"])),
        // Flags and operands in any order.
        (["a", "--json", "b"], Parsed(switches: ["json"], operands: ["a", "b"])),
        (["-"], Parsed(operands: ["-"])),
        (["--", "--json", "a"], Parsed(operands: ["--json", "a"])),
    ]

    @Test func flagsThatAreRepeatedKeepTheirOrder() throws {
        let parsed = try Self.parse(["--output=a", "--json", "--output", "b", "--output=c"])
        let output = CommandFlag("output", takes: "PLACE", "where")
        #expect(parsed.all(output) == ["a", "b", "c"] && parsed[output] == "c")
        #expect(parsed.all(CommandFlag("other", takes: "X", "none")) == [])
    }

    @Test(arguments: accepted.indices)
    func accepts(_ index: Int) throws {
        let (arguments, expected) = Self.accepted[index]
        let parsed = try Self.parse(arguments)
        let found = Parsed(values: parsed.values, switches: parsed.switches, operands: parsed.operands)
        #expect(found == expected, "\(arguments)")
        guard !arguments.contains("--") else { return }
        #expect(try Self.parse(arguments, .go) == parsed)
    }

    @Test func saysWhatIsOn() throws {
        let parsed = try Self.parse(["--json", "--output=x"])
        #expect(parsed.has(CommandFlag("json", "")) && !parsed.has(.help))
        #expect(parsed[CommandFlag("output", takes: "PLACE", "")] == "x")
    }

    @Test(arguments: [
        (["--output"], "flag needs a value: --output"),
        (["--output="], "flag is empty: --output"),
        (["--output", ""], "flag is empty: --output"),
        (["--json=false"], "flag takes no value: --json"),
        (["--json="], "flag takes no value: --json"),
        (["--ouput=x"], "unknown flag --ouput (did you mean --output?)"),
        (["--tokenversion=x"], "unknown flag --tokenversion (did you mean --token-version?)"),
        (["--out=x"], "unknown flag --out (did you mean --output?)"),
        (["--to", "x"], "unknown flag --to (did you mean --token-version?)"),
        (["--nothing-like-it"], "unknown flag --nothing-like-it"),
        (["---output=x"], "bad flag syntax: ---output=x"),
        (["--=x"], "unknown flag --"),
        (["-o"], "unknown flag --o"),
        (["--version"], "flag --version belongs to test"),
    ])
    func refuses(_ arguments: [String], _ reason: String) {
        let error = #expect(throws: UsageError.self) { try Self.parse(arguments) }
        #expect(error == UsageError(reason, in: "make"))
    }

    @Test(arguments: [
        (["-output"], "flag needs an argument: -output"),
        (["--output="], "flag -output is empty"),
        (["--json=false"], "flag takes no value: -json"),
        (["--ouput=x"], "flag provided but not defined: -ouput (did you mean -output?)"),
        (["-out=x"], "flag provided but not defined: -out (did you mean -output?)"),
        (["-nothing-like-it"], "flag provided but not defined: -nothing-like-it"),
        (["---output=x"], "bad flag syntax: ---output=x"),
    ])
    func refusesInGosWords(_ arguments: [String], _ reason: String) {
        let error = #expect(throws: UsageError.self) { try Self.parse(arguments, .go) }
        #expect(error?.reason == reason)
    }

    /// An argument may come from anywhere: it stays on its line and in its bounds.
    @Test(arguments: [FlagStyle.long, .go]) func showsUnknownFlagsSafely(_ style: FlagStyle) {
        let error = #expect(throws: UsageError.self) {
            try Self.parse(["--a\nb\u{1B}[31m" + String(repeating: "x", count: 10_000)], style)
        }
        #expect(error?.reason.contains("\n") == false && error?.reason.contains("\u{1B}") == false)
        #expect((error?.reason.count ?? 0) < 130)
    }
}
