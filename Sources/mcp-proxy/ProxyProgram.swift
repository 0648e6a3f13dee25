import Glibc
import Synchronization
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelPKI
import TunnelProxy

typealias ProxyCommand = Command<@Sendable (Arguments) throws -> ExitStatus>

/// The program: finds the command and runs it. Without a command it serves.
enum ProxyProgram {
    static let table = CommandTable(
        program: "mcp-proxy", style: .go, about: "Serves the customer side of an MCP tunnel behind cloudflared.",
        root: ProxyCommand(
            path: [], summary: "serve the customer side of an MCP tunnel",
            flags: [.config, .tunnelDomain, .debuggable], example: "mcp-proxy -config config.yaml"
        ) { Serve.run($0) },
        commands: [
            CheckCommand.command, DiagCommand.command, Healthcheck.command, ProbeCommand.command, ReloadCommand.command,
            UpgradeCommand.command, StopCommand.command, Demo.command, HelloCommand.command,
        ],
        notes: """
            Signals: SIGTERM and SIGINT drain and exit (a second one exits at once), SIGHUP reloads the configuration
            as `mcp-proxy reload` does; others are ignored.
            Exit status: 0 done, 1 failed to start or drain cut short, 2 usage.
            """)

    static func run(_ arguments: [String]) -> ExitStatus {
        var command: ProxyCommand?
        do {
            switch try table.parse(arguments) {
            case .help(let text): print(text)
            case .version: print(version)
            case .run(let found, let arguments):
                command = found
                // Before anything is read.
                if !arguments.has(.debuggable) { ProcessHardening.apply() }
                KeyMemory.prepare()
                return try found.action(arguments)
            }
            return .done
        } catch let error as UsageError {
            complain(table.message(error, in: command))
            return .usage
        } catch {
            complain("\(["mcp-proxy", command?.name ?? ""].filter { !$0.isEmpty }.joined(separator: " ")): \(error)")
            return .failed
        }
    }

    /// The version of the package, and that of each library.
    static var version: String {
        let libraries = ProxyVersions.libraries.map { "  \($0.name) \($0.version)" }.joined(separator: "\n")
        return "mcp-proxy \(PackageVersion.current)\n\(libraries)"
    }

    /// Writes a line to standard error.
    static func complain(_ text: String) {
        var text = text + "\n"
        text.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
    }
}

extension CommandFlag {
    static let config = CommandFlag(
        "config", takes: "PATH", "configuration file (default \(ProxyConfiguration.defaultPath))")
    static let tunnelDomain = CommandFlag(
        "tunnel-domain", takes: "DOMAIN", "takes the place of tunnel_domain in the file")
    static let debuggable = CommandFlag(
        "debuggable", "let debuggers attach and core files be written: both show keys and tokens")
}

extension ProxyConfiguration {
    static let defaultPath = "/etc/mcp-gateway/config.yaml"

    /// The configuration that a command line names.
    static func load(_ arguments: Arguments) throws -> ProxyConfiguration {
        try load(path: arguments[.config] ?? defaultPath, tunnelDomain: arguments[.tunnelDomain])
    }
}

extension ListenAddress {
    /// Reads the value of a flag.
    init(_ text: String, of flag: CommandFlag) throws(UsageError) {
        guard let address = ListenAddress(text) else {
            let remedy = "write 127.0.0.1:8080, [::1]:8080 or unix:/path"
            throw UsageError("flag -\(flag.name): invalid address \"\(Diagnostic.excerpt(text))\" (\(remedy))")
        }
        self = address
    }
}

extension Loop {
    /// Runs `body` on a loop on this thread, for commands that do one thing and end.
    static func run(_ body: @escaping @Sendable (isolated Loop) async throws -> Void) throws {
        let (loop, outcome) = (try Loop(), Outcome())
        loop.spawn { loop in
            do { try await body(loop) } catch { outcome.failure.withLock { $0 = error } }
            loop.stop()
        }
        loop.run()
        if let error = outcome.failure.withLock({ $0 }) { throw error }
    }

    private final class Outcome: Sendable {
        let failure = Mutex<(any Error)?>(nil)
    }
}
