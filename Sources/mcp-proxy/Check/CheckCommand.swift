import TunnelCLI
import TunnelCore
import TunnelProxy

/// The command of ``Check`` and of ``Explanation``.
enum CheckCommand {
    private static let ca = CommandFlag(
        "ca", takes: "PATH", "the CA that is registered on the tunnel, to hold the certificate against")
    private static let path = CommandFlag(
        "path", takes: "PATH", "where the MCP servers are (default: /mcp, /, /sse)")
    private static let timeout = CommandFlag(
        "timeout", takes: "DURATION", "for each step of a route (default 5s)")
    private static let edge = CommandFlag("edge", "look at the way to Cloudflare's edge too")
    private static let explain = CommandFlag(
        "explain", takes: "URL", "tell how one URL is routed and why, and nothing else")
    private static let json = CommandFlag("json", "print JSON")

    static let command = ProxyCommand(
        path: ["check"], summary: "check configuration, certificate, and the way to every MCP server",
        details: """
            Nothing is served. Exit status 0 if nothing fails, warnings or not; 1 if something does; 2 if nothing
            could be checked.
            """,
        flags: [.config, .tunnelDomain, ca, path, timeout, edge, explain, json],
        example: "mcp-proxy check -config config.yaml"
    ) { arguments in
        var options = CheckOptions(
            configuration: arguments[.config] ?? ProxyConfiguration.defaultPath, tunnelDomain: arguments[.tunnelDomain])
        (options.ca, options.edge) = (arguments[ca], arguments.has(edge))
        if let path = arguments[path] {
            guard AuthorizationCheck.isPath(path) else {
                throw UsageError("flag -path: \"\(Diagnostic.excerpt(path))\" is no path (write /mcp)")
            }
            options.path = path
        }
        if let text = arguments[timeout] { options.timeout = try duration(text) }
        if let url = arguments[explain] { return try explain(url, options, json: arguments.has(json)) }
        let report = Check.run(options)
        print(arguments.has(json) ? report.json : report.table)
        return report.status
    }

    private static func duration(_ text: String) throws(UsageError) -> Duration {
        do throws(GoDurationError) {
            let duration = try GoDuration(text).duration
            if duration >= .milliseconds(10), duration <= .seconds(300) { return duration }
        } catch {}
        throw UsageError("flag -timeout: \"\(Diagnostic.excerpt(text))\" (use 10ms to 5m)")
    }

    private static func explain(_ url: String, _ options: CheckOptions, json: Bool) throws -> ExitStatus {
        let reviews: [ConfigurationReview]
        do {
            let file = ConfigurationFile(path: options.configuration, tunnelDomain: options.tunnelDomain)
            reviews = try file.parse(try file.read()).perTunnel.map { try ConfigurationReview($0) }
        } catch {
            ProxyProgram.complain("mcp-proxy check: \(error)")
            return .usage
        }
        let explanation = try Explanation.of(url, reviews, timeout: options.timeout)
        print(json ? explanation.json : explanation.text)
        return explanation.status
    }
}
