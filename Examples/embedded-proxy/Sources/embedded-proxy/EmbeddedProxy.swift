@preconcurrency import Glibc  // C's variables, such as stderr
import TunnelProxy

/// A program with the proxy inside: start, readiness, reload, drain and stop.
///
///     embedded-proxy -config FILE
///
/// SIGHUP reads the file again, SIGTERM and SIGINT drain, and a second one of these waits no longer. What a supervisor wants
/// to know goes to standard output, a line each: `ready ADDRESS`, `reloaded`, `draining`, `stopped`. The log goes to standard
/// error.
@main enum EmbeddedProxy {
    static func main() async {
        let arguments = CommandLine.arguments
        guard let flag = arguments.firstIndex(of: "-config"), flag + 1 < arguments.count else {
            fputs("usage: embedded-proxy -config FILE\n", stderr)
            exit(2)
        }
        // Before anything else: a signal that comes early counts as well.
        let signals = signals(SIGHUP, SIGTERM, SIGINT)
        do {
            exit(try await serve(arguments[flag + 1], signals) ? 0 : 1)
        } catch {
            fputs("\(error)\n", stderr)
            exit(1)
        }
    }

    /// - Returns: `false` when requests had to be cut off.
    private static func serve(_ path: String, _ signals: AsyncStream<CInt>) async throws -> Bool {
        let configuration = try ProxyConfiguration.load(path: path)
        let output = try ProxyLog.standardError(configuration)
        defer { output.finish() }
        // Reads certificate and key, and finds what does not fit together. Nothing is open yet.
        let server = try ProxyServer(configuration: configuration, log: output.log)
        // Threads of its own: this task is free for whatever else the program does.
        try server.start()
        say("ready \(server.address ?? "")")

        let watching = Task {
            for await signal in signals { take(signal, server, path) }
        }
        defer { watching.cancel() }
        // Until somebody stops it. Cancelling this task would do that too.
        try await server.run()
        let wasClean = await server.stop()  // it has stopped: this is only how
        say("stopped")
        return wasClean
    }

    private static func take(_ signal: CInt, _ server: ProxyServer, _ path: String) {
        if signal == SIGHUP { return reload(server, path) }
        guard server.state == .running else { return server.stopNow() }
        // Readiness ends before service does: whoever balances load here has `shutdown_timeout` to look elsewhere.
        say("draining")
        server.beginGracefulShutdown()
    }

    /// A file that is not in order changes nothing.
    private static func reload(_ server: ProxyServer, _ path: String) {
        do {
            let kept = try server.reload(ProxyConfiguration.load(path: path))
            say(kept.isEmpty ? "reloaded" : "reloaded, but for \(kept.joined(separator: ", "))")
        } catch {
            say("not reloaded: \(error)")
        }
    }

    private static func say(_ line: String) {
        print(line)
        fflush(stdout)
    }
}
