import Testing

@testable import TunnelCLI

@Suite struct CommandTableTests {
    private static let file = CommandFlag("file", takes: "PATH", "which file")
    private static let quick = CommandFlag("quick", "do it quickly")
    private static let depth = CommandFlag("depth", takes: "COUNT", variable: "DEPTH", "how deep")

    private static func table(_ style: FlagStyle, withRoot hasRoot: Bool) -> CommandTable<String> {
        func command(_ path: String, _ flags: [CommandFlag], _ count: ClosedRange<Int> = 0...0) -> Command<String> {
            let words = path.split(separator: " ").map(String.init)
            let operands = count.upperBound > 0 ? "NAME" : ""
            return Command(
                path: words, operands: operands, operandCount: count, summary: "do \(path)", flags: flags,
                example: "test \(path)", action: path)
        }
        return CommandTable(
            program: "test", style: style, about: "Tests.", root: hasRoot ? command("", [file]) : nil,
            commands: [
                command("check", [file, quick]), command("dig", [depth], 1...2), command("list all", [file, depth]),
                command("list some", [file, quick], 0...1),
            ],
            groups: ["list": "what there is"], notes: "Notes.")
    }

    /// What a command line comes to, in one line.
    private static func outcome(_ line: String, _ style: FlagStyle = .long, withRoot hasRoot: Bool = false) -> String {
        let table = table(style, withRoot: hasRoot)
        do throws(UsageError) {
            switch try table.parse(line.split(separator: " ").map(String.init)) {
            case .help(let text): return text.split(separator: "\n").first.map(String.init) ?? ""
            case .version: return "version"
            case .run(let command, let arguments):
                let values = arguments.values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
                return (["run \(command.name)"] + values + arguments.switches.sorted() + arguments.operands)
                    .joined(separator: " ")
            }
        } catch { return table.message(error) }
    }

    @Test(arguments: [
        ("check", "run check"), ("check --quick --file=a", "run check file=a quick"),
        // Flags before the command, between its words, and on both sides.
        ("--quick check", "run check quick"), ("--file a check --quick", "run check file=a quick"),
        ("list --file a all", "run list all file=a"), ("--depth=1 list all --file=b", "run list all depth=1 file=b"),
        ("dig a", "run dig a"), ("--depth 2 dig a b", "run dig depth=2 a b"), ("list some x", "run list some x"),
        ("dig -- --depth", "run dig --depth"),
        ("--help", "Usage: test COMMAND [flags]"), ("help", "Usage: test COMMAND [flags]"),
        ("-h", "Usage: test COMMAND [flags]"), ("list --help", "Usage: test list COMMAND [flags]"),
        ("--help list", "Usage: test list COMMAND [flags]"), ("help list", "Usage: test list COMMAND [flags]"),
        ("list all -h", "Usage: test list all [flags]"), ("help list all", "Usage: test list all [flags]"),
        ("--help dig", "Usage: test dig [flags] NAME"), ("dig --help", "Usage: test dig [flags] NAME"),
        ("--version", "version"), ("version", "version"), ("-version", "version"),
    ])
    func understands(_ line: String, _ expected: String) { #expect(Self.outcome(line) == expected) }

    @Test(arguments: [
        ("", "test: a command is needed (test --help lists the commands)"),
        ("--file=x", "test: a command is needed (test --help lists the commands)"),
        ("chek", "test: unknown command chek (did you mean check?) (test --help lists the commands)"),
        ("li", "test: unknown command li (did you mean list?) (test --help lists the commands)"),
        ("zzz", "test: unknown command zzz (test --help lists the commands)"),
        ("list", "test list: say which: list all|some (test list --help lists the commands)"),
        ("list --quick", "test list: say which: list all|some (test list --help lists the commands)"),
        (
            "list al",
            "test list: unknown command list al (did you mean all?), use list all|some (test list --help lists the commands)"
        ),
        ("dig", "test dig: NAME is needed (test dig --help lists the flags)"),
        ("dig a b c", "test dig: unexpected argument c (test dig --help lists the flags)"),
        ("check x", "test check: unexpected argument x (test check --help lists the flags)"),
        ("--quik", "test: unknown flag --quik (did you mean --quick?) (test --help lists the commands)"),
        ("check --qui", "test check: unknown flag --qui (did you mean --quick?) (test check --help lists the flags)"),
        // Another command's flag, before and behind.
        ("dig --file x y", "test dig: flag --file does not belong to dig (test dig --help lists the flags)"),
        ("--file x dig y", "test dig: flag --file does not belong to dig (test dig --help lists the flags)"),
        ("check --depth 1", "test check: flag --depth belongs to dig and list all (test check --help lists the flags)"),
        ("--version check", "test: unexpected argument check (test --help lists the commands)"),
        ("check --version", "test check: flag --version belongs to test (test check --help lists the flags)"),
        ("--version=true", "test: flag takes no value: --version (test --help lists the commands)"),
    ])
    func refuses(_ line: String, _ expected: String) { #expect(Self.outcome(line) == expected) }

    /// Without a command the root is meant, and every word is a command or too much.
    @Test(arguments: [
        ("", "run "), ("-file x", "run  file=x"), ("check", "run check"), ("-file x check", "run check file=x"),
        ("-help", "Usage: test [flags]"), ("check -help", "Usage: test check [flags]"), ("-version", "version"),
        ("-version -file x", "version"),
        ("chek", "test: unexpected argument \"chek\" (did you mean check?) (test -help lists the flags and commands)"),
        ("--", "test: unexpected argument \"--\" (test -help lists the flags and commands)"),
        ("-", "test: unexpected argument \"-\" (test -help lists the flags and commands)"),
        ("check more", "test check: unexpected argument \"more\" (test check -help lists the flags)"),
        ("-quick", "test: flag -quick belongs to check and list some (test -help lists the flags and commands)"),
    ])
    func understandsWithARoot(_ line: String, _ expected: String) {
        #expect(Self.outcome(line, .go, withRoot: true) == expected)
    }

    @Test func helpOfTheProgramListsTheCommands() {
        #expect(
            Self.table(.long, withRoot: false).help == """
                Usage: test COMMAND [flags]

                Tests.

                  check           do check
                  dig             do dig
                  list all        do list all
                  list some       do list some

                  --version       print the versions and exit
                  COMMAND --help  flags and an example

                Notes.
                """)
    }

    @Test func helpWithARootListsTheFlagsToo() {
        #expect(
            Self.table(.go, withRoot: true).help == """
                Usage: test [flags]
                       test COMMAND [flags]

                Tests.

                  -file PATH      which file
                  -version        print the versions and exit
                  -help           print this and exit

                  check           do check
                    -file PATH    which file
                    -quick        do it quickly
                  dig             do dig
                    -depth COUNT  how deep [DEPTH]
                  list all        do list all
                    -file PATH    which file
                    -depth COUNT  how deep [DEPTH]
                  list some       do list some
                    -file PATH    which file
                    -quick        do it quickly

                Notes.
                """)
    }

    @Test func helpOfAGroupListsItsCommands() {
        #expect(
            Self.table(.long, withRoot: false).help(ofGroup: "list") == """
                Usage: test list COMMAND [flags]

                What there is.

                  list all   do list all
                  list some  do list some

                Each has --help.
                """)
    }

    @Test func helpOfACommandHasFlagsVariablesAndAnExample() throws {
        let table = Self.table(.long, withRoot: false)
        #expect(
            table.help(of: table.commands[1]) == """
                Usage: test dig [flags] NAME

                Do dig.

                  --depth COUNT  how deep [DEPTH]
                  --help         print this and exit

                Example:
                  test dig
                """)
    }

    /// The shortest name that begins so, before the nearest one.
    @Test(arguments: [
        ("ke", "key"), ("key-", "key-type"), ("kye", "key"), ("k", nil), ("out", "output"), ("zz", nil),
    ])
    func suggests(_ name: String, _ expected: String?) {
        #expect(suggestion(for: name, among: ["key-type", "key", "output"]) == expected)
    }
}
