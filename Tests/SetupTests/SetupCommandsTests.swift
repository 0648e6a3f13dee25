import Testing
import TunnelCLI

@testable import setup

@Suite struct SetupCommandsTests {
    private static func command(_ name: String) throws -> SetupCommand {
        try #require(SetupCommands.table.commands.first { $0.name == name })
    }

    private static func help(_ name: String) throws -> String { SetupCommands.table.help(of: try command(name)) }

    @Test func hasEveryCommandOnce() {
        let names = SetupCommands.table.commands.map(\.name)
        #expect(
            names == [
                "init", "renew-cert", "generate-certs", "verify", "rotate-ca", "tunnels list", "tunnels get",
                "tunnels create", "tunnels archive", "certs list", "certs add", "certs revoke", "token reveal",
                "token rotate",
            ])
        for name in names { #expect(SetupCommands.table.help.contains("  \(name) ")) }
    }

    @Test(arguments: SetupCommands.table.commands.map(\.name))
    func helpTellsFlagsAndAnExample(_ name: String) throws {
        let (command, help) = (try Self.command(name), try Self.help(name))
        #expect(help.hasPrefix("Usage: setup \(name) [flags]"))
        for flag in command.allFlags { #expect(help.contains("  --\(flag.name)")) }
        #expect(help.contains("\nExample:\n  setup \(name) "))
        // What a terminal shows without breaking lines, as far as the flags go.
        #expect(!command.summary.isEmpty && command.summary.last != ".")
    }

    /// The example is one that the command itself understands.
    @Test(arguments: SetupCommands.table.commands.map(\.name))
    func exampleParses(_ name: String) throws {
        let words = try Self.command(name).example.split(separator: " ").map(String.init)
        let call = try SetupCommands.table.parse(Array(words.dropFirst()))
        guard case .run(let found, let arguments) = call else { throw UsageError("no command") }
        #expect(found.name == name)
        if let text = arguments.values["output"] { _ = try OutputPlace(text) }
    }

    @Test(arguments: SetupCommands.table.commands.map(\.name))
    func flagsAreToldApart(_ name: String) throws {
        let command = try Self.command(name)
        let names = command.allFlags.map(\.name)
        #expect(Set(names).count == names.count && names.contains("json") && names.contains("help"))
        for flag in command.allFlags { #expect(!flag.meaning.isEmpty && flag.value?.isEmpty != true) }
    }

    @Test(arguments: [
        ([], "a command is needed"),
        (["inti"], "unknown command inti (did you mean init?)"),
        (["renew-crt"], "unknown command renew-crt (did you mean renew-cert?)"),
        (["tunnel"], "unknown command tunnel (did you mean tunnels?)"),
        (["zzz"], "unknown command zzz"),
        (["tunnels"], "say which: tunnels list|get|create|archive"),
        (["certs", "--json"], "say which: certs list|add|revoke"),
        (["token", "revael"], "unknown command token revael (did you mean reveal?), use token reveal|rotate"),
        (["certs", "zzz"], "unknown command certs zzz, use certs list|add|revoke"),
    ])
    func refuses(_ arguments: [String], _ reason: String) {
        let error = #expect(throws: UsageError.self) { try SetupCommands.table.parse(arguments) }
        #expect(error?.reason == reason)
    }

    /// A secret must come from a variable: whatever is on a command line, every process of the machine can read.
    @Test func noFlagTakesASecret() {
        for flag in SetupCommands.table.commands.flatMap(\.flags) where flag.value != nil {
            #expect(!flag.name.contains("password") && !flag.name.contains("secret"))
            #expect(!["token", "api-token", "identity-token"].contains(flag.name))
            let secrets = ["API_TOKEN", "ANTHROPIC_IDENTITY_TOKEN", "HTTPS_PROXY"]
            #expect(flag.variable.map { !secrets.contains($0) } ?? true)
        }
    }

    @Test func documentedDefaultsAreInTheHelp() throws {
        #expect(try Self.help("init").contains("2160h"))
        #expect(try Self.help("renew-cert").contains("default 0: always renew"))
        #expect(try Self.help("init").contains("k8s-secret:mcp-tunnel"))
        #expect(try Self.help("init").contains("[TUNNEL_ID]"))
        #expect(try Self.help("init").contains("[API_URL]"))
    }

    /// A flag that takes a value in one command and none in another could not be read before the command is known.
    @Test func flagsOfOneNameAreOfOneKind() {
        let flags = SetupCommands.table.commands.flatMap(\.flags)
        for (name, alike) in Dictionary(grouping: flags, by: \.name) {
            #expect(Set(alike.map { $0.value != nil }).count == 1, "\(name)")
        }
    }

    @Test(arguments: ["tunnels", "certs", "token"]) func groupsHaveHelp(_ group: String) throws {
        guard case .help(let text) = try SetupCommands.table.parse([group, "--help"]) else {
            throw UsageError("no help")
        }
        #expect(text.hasPrefix("Usage: setup \(group) COMMAND [flags]\n\nThe "))
        for command in SetupCommands.table.commands where command.path.first == group {
            #expect(text.contains("\n  \(command.name)  ") && text.contains(command.summary))
        }
    }
}
