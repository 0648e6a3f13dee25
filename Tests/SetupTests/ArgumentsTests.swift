import Testing

@testable import setup

@Suite struct ArgumentsTests {
    private static let flags: [Flag] = [
        Flag("output", takes: "PLACE", "where"), Flag("token-version", takes: "VERSION", "which"),
        Flag("json", "as JSON"), .help,
    ]

    private struct Parsed: Equatable, CustomStringConvertible {
        var values: [String: String] = [:]
        var switches: Set<String> = []
        var positionals: [String] = []
        var description: String { "\(values) \(switches) \(positionals)" }
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
        (["-h"], Parsed(switches: ["help"])),
        (["-help"], Parsed(switches: ["help"])),
        // Flags and operands in any order.
        (["a", "--json", "b"], Parsed(switches: ["json"], positionals: ["a", "b"])),
        (["-"], Parsed(positionals: ["-"])),
        (["--", "--json", "a"], Parsed(positionals: ["--json", "a"])),
    ]

    @Test(arguments: accepted.indices)
    func accepts(_ index: Int) throws {
        let (arguments, expected) = Self.accepted[index]
        let parsed = try Arguments(arguments, flags: Self.flags)
        let found = Parsed(values: parsed.values, switches: parsed.switches, positionals: parsed.positionals)
        #expect(found == expected, "\(arguments)")
    }

    @Test func saysWhatIsOn() throws {
        let parsed = try Arguments(["--json"], flags: Self.flags)
        #expect(parsed.has(.json) && !parsed.has(.help))
    }

    @Test(arguments: [
        (["--output"], "flag needs a value: --output"),
        (["--output="], "flag is empty: --output"),
        (["--output", ""], "flag is empty: --output"),
        (["--json=false"], "flag takes no value: --json"),
        (["--json="], "flag takes no value: --json"),
        (["--ouput=x"], "unknown flag --ouput (did you mean --output?)"),
        (["--tokenversion=x"], "unknown flag --tokenversion (did you mean --token-version?)"),
        (["--nothing-like-it"], "unknown flag --nothing-like-it"),
        (["---output=x"], "bad flag syntax: ---output=x"),
        (["--=x"], "unknown flag --"),
        (["-o"], "unknown flag --o"),
    ])
    func refuses(_ arguments: [String], _ reason: String) {
        #expect(throws: UsageError(reason)) { try Arguments(arguments, flags: Self.flags) }
    }

    /// An argument may come from anywhere: it stays on its line and in its bounds.
    @Test func showsUnknownFlagsSafely() {
        let error = #expect(throws: UsageError.self) {
            try Arguments(["--a\nb\u{1B}[31m" + String(repeating: "x", count: 10_000)], flags: Self.flags)
        }
        #expect(error?.reason.contains("\n") == false && error?.reason.contains("\u{1B}") == false)
        #expect((error?.reason.count ?? 0) < 120)
    }
}
