import TunnelCore

/// Every command there is.
enum CommandTable {
    static let commands: [Command] = [
        InitCommand.command, RenewCertCommand.command, GenerateCertsCommand.command, VerifyCommand.command,
        RotateCACommand.command, TunnelsCommand.list, TunnelsCommand.get, TunnelsCommand.archive, CertsCommand.list,
        CertsCommand.add, CertsCommand.revoke, TokenCommand.reveal, TokenCommand.rotate,
    ]

    /// The command that `arguments` begin with, and what is left of them.
    ///
    /// - Throws: ``UsageError`` with the nearest known name.
    static func find(_ arguments: [String]) throws(UsageError) -> (Command, [String]) {
        guard let first = arguments.first else { throw UsageError("a command is needed") }
        if let command = commands.first(where: { $0.path == [first] }) {
            return (command, Array(arguments.dropFirst()))
        }
        let group = commands.filter { $0.path.first == first }
        guard !group.isEmpty else {
            let names = Set(commands.compactMap(\.path.first)).sorted()
            let hint = nearestName(to: first, among: names).map { " (did you mean \($0)?)" }
            throw UsageError("unknown command \(Diagnostic.excerpt(first))\(hint ?? "")")
        }
        let names = group.compactMap(\.path.last)
        let choice = "\(first) \(names.joined(separator: "|"))"
        guard arguments.count > 1, !arguments[1].hasPrefix("-") else { throw UsageError("say which: \(choice)") }
        guard let command = group.first(where: { $0.path.last == arguments[1] }) else {
            let hint = nearestName(to: arguments[1], among: names).map { " (did you mean \($0)?)" }
            throw UsageError("unknown command \(first) \(Diagnostic.excerpt(arguments[1]))\(hint ?? ""), use \(choice)")
        }
        return (command, Array(arguments.dropFirst(2)))
    }

    static var usage: String {
        let width = (commands.map(\.name.count).max() ?? 0) + 2
        let lines = commands.map { command in
            "  \(command.name)\(String(repeating: " ", count: width - command.name.count))\(command.summary)"
        }
        return """
            Usage: setup COMMAND [flags]

            Provisions an MCP tunnel: certificates, token, and the place where they are kept.

            \(lines.joined(separator: "\n"))

              --version        print the versions and exit
              COMMAND --help   flags and an example

            Identity: ANTHROPIC_FEDERATION_RULE_ID, ANTHROPIC_ORGANIZATION_ID, ANTHROPIC_WORKSPACE_ID (optional), and
            ANTHROPIC_IDENTITY_TOKEN_FILE or ANTHROPIC_IDENTITY_TOKEN; or API_TOKEN. Proxies: HTTPS_PROXY, NO_PROXY.
            Exit status: 0 done, 1 failed, 2 usage.

            """
    }
}
