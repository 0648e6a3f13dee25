import Glibc
import TunnelCore
import TunnelProxy

/// The program: options, configuration, the proxy, signals.
enum ProxyCommand {
    static func run(_ arguments: [String]) -> ExitStatus {
        let options: CommandLineOptions
        do throws(UsageError) { options = try CommandLineOptions(arguments) } catch {
            complain("mcp-proxy: \(error.reason)\n\n\(CommandLineOptions.usage)")
            return .usage
        }
        switch options.action {
        case .showHelp:
            print(CommandLineOptions.usage, terminator: "")
            return .done
        case .showVersion:
            print(ProxyVersion.text)
            return .done
        case .demo: return Demo.run(data: options.dataPath)
        case .healthcheck: return Healthcheck.run(options)
        case .serve: return serve(options)
        }
    }

    private static func serve(_ options: CommandLineOptions) -> ExitStatus {
        // Before any thread: all of them inherit the mask, and this one takes the signals in turn.
        SignalQueue.block()
        let server: ProxyServer
        let log: ProxyLog
        do {
            let configuration = try load(options)
            log = try ProxyLog.standardError(configuration)
            server = try ProxyServer(configuration: configuration, log: log.log)
            try server.start()
        } catch {
            complain("mcp-proxy: \(error)\n")
            return .failed
        }
        let isClean = handleSignals(server, log, options)
        log.finish()
        return isClean ? .done : .failed
    }

    private static func load(_ options: CommandLineOptions) throws -> ProxyConfiguration {
        try ProxyConfiguration.load(path: options.configPath, tunnelDomain: options.tunnelDomain)
    }

    /// Serves until a signal ends it; whether the drain was clean.
    private static func handleSignals(_ server: ProxyServer, _ log: ProxyLog, _ options: CommandLineOptions) -> Bool {
        while true {
            guard SignalQueue.next() == .hangUp else { break }
            do {
                let configuration = try load(options)
                try server.reload(configuration)
                log.log(.info, "configuration reloaded")
            } catch {
                log.log(.error, "configuration not reloaded, the old one stays") { $0.field("error", "\(error)") }
            }
        }
        let drain = Drain(server)
        while !drain.isOver {
            // The drain wakes us when it is over.
            if SignalQueue.next() == .terminate { server.stopNow() }
        }
        return drain.wasClean
    }

    /// Writes to standard error.
    static func complain(_ text: String) {
        var text = text
        text.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
    }
}
