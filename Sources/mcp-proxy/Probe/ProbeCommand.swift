import Glibc
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelProxy
import TunnelTLS

/// `mcp-proxy probe`: the far side of a running proxy, hop by hop, as Claude's side takes it through cloudflared.
enum ProbeCommand {
    static let command = ProxyCommand(
        path: ["probe"], summary: "ask a running proxy for an MCP server, as the far side does, hop by hop",
        details: """
            Without -method, -data and -include it holds the handshake of MCP and lists the tools. Exit status 0 if all went
            well, 1 with the hop, the cause and the remedy if not, 2 if nothing could be tried.
            """,
        flags: ProbeOptions.flags, example: "mcp-proxy probe -ca /data/ca.crt -host echo.abcd1234.tunnel.anthropic.com"
    ) { arguments in
        signal(SIGPIPE, SIG_IGN)
        let options = try ProbeOptions(arguments)
        let trust = try trust(arguments)
        let outcome = Outcome()
        try Loop.run { loop in
            outcome.isGood = await run(options, trust, on: loop)
        }
        return outcome.isGood ? .done : .failed
    }

    // SAFETY of sharing: written on the loop's thread, which is the caller's and has ended its loop when it is read.
    private final class Outcome: Sendable {
        private let good = Flag()
        var isGood: Bool {
            get { good.isSet }
            set { if newValue { good.set() } }
        }
    }

    private static func trust(_ arguments: Arguments) throws -> FarSide.Trust {
        guard let path = arguments[ProbeOptions.ca] else {
            throw UsageError("flag -ca is needed: the CA that is registered on the tunnel, as setup wrote it to ca.crt")
        }
        let protocols: [ApplicationProtocol] = arguments.has(ProbeOptions.http2) ? [.http2, .http1] : [.http1]
        do { return try FarSide.Trust(authority: try FileBytes.read(path), offering: protocols) } catch {
            throw UsageError("flag -ca: \(Healthcheck.line("\(error)"))")
        }
    }

    /// - Returns: whether each probe went well.
    private static func run(_ options: ProbeOptions, _ trust: FarSide.Trust, on loop: isolated Loop) async -> Bool {
        let printer = ProbePrinter(options)
        var (statistics, resumption) = (ProbeStatistics(), FarSide.Resumption?.none)
        for number in 1...options.count {
            let start = Reactor.clock()
            var probe = Probe(options, number: number, trusting: trust, printer, on: loop.reactor)
            let report = await probe.run(resuming: &resumption)
            statistics.take(report)
            printer.show(report)
            if number < options.count {
                let left = options.interval - Duration.since(start)
                if left > .zero { await loop.pause(left) }
            }
        }
        if options.count > 1 { printer.show(statistics) }
        return statistics.lost == 0
    }
}
