import Configuration
import Glibc
import Logging
import ServiceLifecycle
import TunnelCore
import TunnelProxy
import UnixSignals

/// The proxy among the services of a program that stands on swift-service-lifecycle, swift-log, swift-metrics and
/// swift-configuration. Its settings are in the environment: `HOST`, `UPSTREAM`, `TLS_CERT_FILE`, `TLS_KEY_FILE`, `PORT`.
@main enum ServerEcosystem {
    static func main() async throws {
        let logger = Logger(label: "mcp-proxy")
        let reader = ConfigReader(provider: EnvironmentVariablesProvider())
        let log = Log(threshold: .info, format: .text, sink: LoggerSink(logger)) { UnixTime(seconds: Int64(time(nil))) }
        let server = try ProxyServer(configuration: configuration(from: reader), log: log)
        let group = ServiceGroup(
            services: [ProxyService(server: server), MetricsService(server: server)],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        try await group.run()
    }
}

/// Records until the others stop, and then no longer.
private struct MetricsService: Service {
    let server: ProxyServer

    func run() async throws {
        // What it throws is that it was cancelled.
        try? await cancelWhenGracefulShutdown { try await record(server, every: .seconds(10)) }
    }
}
