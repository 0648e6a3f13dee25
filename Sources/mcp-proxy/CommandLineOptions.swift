import TunnelCore
import TunnelProxy

/// The command line of `mcp-proxy`, in Go's grammar: one or two dashes, `-flag value` or `-flag=value`.
struct CommandLineOptions: Equatable {
    enum Action: Equatable {
        case serve
        case demo
        case healthcheck
        case showVersion
        case showHelp
    }

    var action = Action.serve
    var configPath = "/etc/mcp-gateway/config.yaml"
    var tunnelDomain: String?
    /// Which listener to check; `nil` for that of the configuration.
    var address: ListenAddress?
    /// Where setup has written what the demo shall use; `nil` for something of its own.
    var dataPath: String?

    static let usage = """
        Usage: mcp-proxy [-config PATH] [-tunnel-domain DOMAIN]
               mcp-proxy healthcheck [-addr ADDRESS | -config PATH]
               mcp-proxy demo [-data DIR]

        Serves the customer side of an MCP tunnel behind cloudflared.

          -config PATH           configuration file (default /etc/mcp-gateway/config.yaml)
          -tunnel-domain DOMAIN  takes the place of tunnel_domain in the file
          -version               print the versions and exit
          -help                  print this and exit

          healthcheck            open a tunnel to a running proxy; exit status 0 if it agrees within 3 s, else 1
            -addr ADDRESS        where it listens: 127.0.0.1:8080, :8080, [::1]:8080 or unix:/path; without it, the
                                 listen_addr of the configuration
          demo                   run the whole path once on this machine, without any set-up
            -data DIR            with the domain and the certificate that setup wrote to DIR

        Signals: SIGTERM and SIGINT drain and exit (a second one exits at once), SIGHUP reloads the configuration.
        Exit status: 0 done, 1 failed to start or drain cut short, 2 usage.

        """

    private static let flags = ["addr", "config", "data", "tunnel-domain", "version", "help", "h"]

    private static let subcommands = ["healthcheck": Action.healthcheck, "demo": Action.demo]

    /// - Throws: ``UsageError`` that names the argument.
    init(_ arguments: [String]) throws(UsageError) {
        var rest = arguments[...]
        var hasConfigPath = false
        if let subcommand = rest.first.flatMap({ CommandLineOptions.subcommands[$0] }) {
            action = subcommand
            rest.removeFirst()
        }
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("-"), argument != "-", argument != "--" else {
                throw UsageError("unexpected argument \"\(argument)\"")
            }
            let body = argument.drop { $0 == "-" }
            guard argument.count - body.count <= 2 else { throw UsageError("bad flag syntax: \(argument)") }
            let parts = body.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts.first ?? "")
            let attached = parts.count > 1 ? String(parts[1]) : nil
            switch name {
            case "data" where arguments.first == "demo":
                dataPath = try CommandLineOptions.value(of: name, attached, &rest)
            case "data": throw UsageError("flag -data belongs to demo")
            case "addr" where arguments.first == "healthcheck":
                address = try CommandLineOptions.address(try CommandLineOptions.value(of: name, attached, &rest))
            case "addr": throw UsageError("flag -addr belongs to healthcheck")
            case "config":
                configPath = try CommandLineOptions.value(of: name, attached, &rest)
                hasConfigPath = true
            case "tunnel-domain": tunnelDomain = try CommandLineOptions.value(of: name, attached, &rest)
            case "version" where attached == nil: action = .showVersion
            case "help" where attached == nil, "h" where attached == nil: action = .showHelp
            case "version", "help", "h": throw UsageError("flag takes no value: -\(name)")
            default:
                let hint = nearestName(to: name, among: CommandLineOptions.flags).map { " (did you mean -\($0)?)" }
                throw UsageError("flag provided but not defined: -\(name)\(hint ?? "")")
            }
        }
        if address != nil, hasConfigPath { throw UsageError("flags -addr and -config exclude each other") }
    }

    private static func address(_ text: String) throws(UsageError) -> ListenAddress {
        guard let address = ListenAddress(text) else {
            let remedy = "write 127.0.0.1:8080, [::1]:8080 or unix:/path"
            throw UsageError("flag -addr: invalid address \"\(Diagnostic.excerpt(text))\" (\(remedy))")
        }
        return address
    }

    private static func value(
        of name: String, _ attached: String?, _ rest: inout ArraySlice<String>
    ) throws(UsageError) -> String {
        guard let value = attached ?? rest.popFirst() else { throw UsageError("flag needs an argument: -\(name)") }
        guard !value.isEmpty else { throw UsageError("flag -\(name) is empty") }
        return value
    }
}

/// What is wrong with a command line.
struct UsageError: Error, Equatable {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}
