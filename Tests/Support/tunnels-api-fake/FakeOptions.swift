import Glibc
import TunnelCore
import TunnelIO
import TunnelsAPIFake

/// The command line of `tunnels-api-fake`: one or two dashes, `--flag value` or `--flag=value`.
struct FakeOptions {
    var address = SocketAddress.ip(IPAddress(v4: 0x7F00_0001), port: 8790)
    var statePath: String?
    var configuration = FakeConfiguration()
    var rule = FakeRule()
    var printsJSON = false
    var isQuiet = false
    var showsHelp = false

    /// What is wrong with a command line.
    struct Failure: Error { let reason: String }

    static let usage = """
        Usage: tunnels-api-fake [--listen ADDRESS:PORT] [--state FILE] [--tunnel NAME[=ID]]... [--json] [--quiet]
                                [--rule ID] [--organization UUID] [--subject S] [--audience A] [--scope S]
                                [--omit-scope] [--workspace W]...

        Plays Anthropic's Tunnels API and its token endpoint on this machine, both generations, to try setup without an
        account and to test clients. Signatures of identity tokens are not verified, and no tunnel connects anything.

          --listen ADDRESS:PORT  loopback only; port 0 picks one (default 127.0.0.1:8790)
          --state FILE           keep tunnels, certificates and tokens in this file from one run to the next
          --tunnel NAME[=ID]     a tunnel that is there from the beginning; may be given more than once
          --rule ID              the federation rule (default \(FakeRule().id))
          --organization UUID    (default \(FakeRule.sampleOrganizationID))
          --subject S            of the rule; may end in * (default \(FakeRule().subject))
          --audience A           of the rule (default \(FakeRule().audience))
          --scope S              what its tokens may do: workspace:manage_tunnels (default) is the second generation
                                 of the API, org:manage_tunnels the first
          --omit-scope           the token endpoint does not name the scope that it grants
          --workspace W          wrkspc_... or default, which is the default; may be given more than once
          --json                 what is printed first is one line of JSON
          --quiet                no line for each request
          --help                 print this and exit

        A Tunnels API key for API_TOKEN is taken from the environment variable FAKE_API_TOKEN.
        Tests steer the fake below /_fake/ on the same port: requests, state, faults, clock, reset, identity-token.

        Example:
          tunnels-api-fake --tunnel staging --state ./fake.json
          setup init --output=dir:./data        # in another terminal, after the exports that the fake prints

        SIGTERM and SIGINT end it. Exit status: 0 ended, 1 failed, 2 usage.

        """

    private static let valued = [
        "listen", "state", "tunnel", "rule", "organization", "subject", "audience", "scope", "workspace",
    ]
    private static let plain = ["omit-scope", "json", "quiet", "help", "h"]

    init(_ arguments: [String]) throws(Failure) {
        var rest = arguments[...]
        var workspaces: [String] = []
        var tunnels: [FakeConfiguration.InitialTunnel] = []
        while let argument = rest.popFirst() {
            let body = argument.drop { $0 == "-" }
            guard (1...2).contains(argument.count - body.count), !body.isEmpty else {
                throw Failure(reason: "unexpected argument \"\(argument)\"")
            }
            let parts = body.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let name = parts[0]
            if FakeOptions.plain.contains(name) {
                guard parts.count == 1 else { throw Failure(reason: "flag takes no value: --\(name)") }
                switch name {
                case "omit-scope": rule.reportsScope = false
                case "json": printsJSON = true
                case "quiet": isQuiet = true
                default: showsHelp = true
                }
                continue
            }
            guard FakeOptions.valued.contains(name) else {
                let near = nearestName(to: name, among: FakeOptions.valued + FakeOptions.plain)
                throw Failure(
                    reason: "flag provided but not defined: --\(name)" + (near.map { " (did you mean --\($0)?)" } ?? "")
                )
            }
            guard let value = parts.count > 1 ? parts[1] : rest.popFirst(), !value.isEmpty else {
                throw Failure(reason: "flag needs an argument: --\(name)")
            }
            switch name {
            case "listen": address = try FakeOptions.address(value)
            case "state": statePath = value
            case "tunnel": tunnels.append(try FakeOptions.tunnel(value))
            case "rule": rule.id = value
            case "organization": configuration.organizationID = value
            case "subject": rule.subject = value
            case "audience": rule.audience = value
            case "scope": rule.scope = value
            default: workspaces.append(value)
            }
        }
        if !workspaces.isEmpty { rule.workspaces = workspaces }
        let home = rule.workspaces[0] == FakeRule.defaultWorkspace ? nil : rule.workspaces[0]
        configuration.rules = [rule]
        configuration.tunnels = tunnels.map { .init(displayName: $0.displayName, id: $0.id, workspaceID: home) }
        if let key = getenv("FAKE_API_TOKEN") {
            configuration.apiTokens = [String(cString: key)].filter { !$0.isEmpty }
        }
        if let problem = configuration.problem { throw Failure(reason: "--\(problem)") }
    }

    private static func address(_ text: String) throws(Failure) -> SocketAddress {
        let failure = Failure(
            reason: "--listen: must be a loopback address and a port, for example 127.0.0.1:8790 or [::1]:0")
        guard let colon = text.lastIndex(of: ":"),
            let port = AddressSyntax.port(text[text.index(after: colon)...], allowsZero: true)
        else { throw failure }
        var host = text[..<colon]
        if host.first == "[", host.last == "]" {
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { throw failure }
        } else if host.contains(":") {
            throw failure
        }
        guard let address = IPAddress(host), address.isLoopback else { throw failure }
        return .ip(address, port: port)
    }

    private static func tunnel(_ text: String) throws(Failure) -> FakeConfiguration.InitialTunnel {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard (1...255).contains(parts[0].unicodeScalars.count) else {
            throw Failure(reason: "--tunnel: the name must have 1 to 255 characters")
        }
        guard parts.count > 1 else { return .init(displayName: parts[0]) }
        guard FakeConfiguration.InitialTunnel.isID(parts[1]) else {
            throw Failure(reason: "--tunnel: the id must be `tnl_` and then letters and digits")
        }
        return .init(displayName: parts[0], id: parts[1])
    }
}
