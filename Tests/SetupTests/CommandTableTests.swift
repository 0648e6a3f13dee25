import Testing

@testable import setup

@Suite struct CommandTableTests {
    @Test func hasEveryCommandOnce() {
        let names = CommandTable.commands.map(\.name)
        #expect(
            names == [
                "init", "renew-cert", "generate-certs", "verify", "rotate-ca", "tunnels list", "tunnels get",
                "tunnels archive", "certs list", "certs add", "certs revoke", "token reveal", "token rotate",
            ])
        for name in names { #expect(CommandTable.usage.contains("  \(name) ")) }
    }

    @Test(arguments: CommandTable.commands.map(\.name))
    func helpTellsFlagsAndAnExample(_ name: String) throws {
        let (command, rest) = try CommandTable.find(name.split(separator: " ").map(String.init) + ["rest"])
        #expect(command.name == name && rest == ["rest"])
        #expect(command.help.hasPrefix("Usage: setup \(name) [flags]"))
        for flag in command.allFlags { #expect(command.help.contains("  --\(flag.name)")) }
        #expect(command.help.contains("\nExample:\n  setup \(name) "))
        // What a terminal shows without breaking lines, as far as the flags go.
        #expect(!command.summary.isEmpty && command.summary.last != ".")
    }

    /// The example is one that the command itself understands.
    @Test(arguments: CommandTable.commands.map(\.name))
    func exampleParses(_ name: String) throws {
        let (command, _) = try CommandTable.find(name.split(separator: " ").map(String.init))
        let words = command.example.split(separator: " ").map(String.init)
        let (found, rest) = try CommandTable.find(Array(words.dropFirst()))
        let arguments = try Arguments(rest, flags: found.allFlags)
        #expect(found.name == name && found.operandCount.contains(arguments.positionals.count))
        if let text = arguments.values["output"] { _ = try OutputPlace(text) }
    }

    @Test(arguments: CommandTable.commands.map(\.name))
    func flagsAreToldApart(_ name: String) throws {
        let (command, _) = try CommandTable.find(name.split(separator: " ").map(String.init))
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
        (["tunnels"], "say which: tunnels list|get|archive"),
        (["certs", "--json"], "say which: certs list|add|revoke"),
        (["token", "revael"], "unknown command token revael (did you mean reveal?), use token reveal|rotate"),
        (["certs", "zzz"], "unknown command certs zzz, use certs list|add|revoke"),
    ])
    func refuses(_ arguments: [String], _ reason: String) {
        #expect(throws: UsageError(reason)) { try CommandTable.find(arguments) }
    }

    /// A secret must come from a variable: whatever is on a command line, every process of the machine can read.
    @Test func noFlagTakesASecret() {
        for flag in CommandTable.commands.flatMap(\.flags) where flag.value != nil {
            #expect(!flag.name.contains("password") && !flag.name.contains("secret"))
            #expect(!["token", "api-token", "identity-token"].contains(flag.name))
            let secrets = ["API_TOKEN", "ANTHROPIC_IDENTITY_TOKEN", "HTTPS_PROXY"]
            #expect(flag.variable.map { !secrets.contains($0) } ?? true)
        }
    }

    @Test func documentedDefaultsAreInTheHelp() throws {
        #expect(try CommandTable.find(["init"]).0.help.contains("2160h"))
        #expect(try CommandTable.find(["renew-cert"]).0.help.contains("default 0: always renew"))
        #expect(try CommandTable.find(["init"]).0.help.contains("k8s-secret:mcp-tunnel"))
        #expect(try CommandTable.find(["init"]).0.help.contains("[TUNNEL_ID]"))
        #expect(try CommandTable.find(["init"]).0.help.contains("[API_URL]"))
    }
}
