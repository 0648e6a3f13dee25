// docs/embedding.md
import ServiceLifecycle
import TunnelProxy

/// The proxy as one of the services of a program, which ends with the others.
struct ProxyService: Service {
    let server: ProxyServer

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await server.run()
        } onGracefulShutdown: {
            server.beginGracefulShutdown()
        }
    }
}
// docs/embedding.md
