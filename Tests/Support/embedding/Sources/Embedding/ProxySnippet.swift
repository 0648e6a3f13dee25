// README
import TunnelProxy

/// Serves a configuration until `wait` returns; whether every request was answered in the end.
func serve(_ path: String, until wait: (ProxyServer) async throws -> Void) async throws -> Bool {
    let configuration = try ProxyConfiguration.load(path: path)
    let log = try ProxyLog.standardError(configuration)
    let server = try ProxyServer(configuration: configuration, log: log.log)
    try server.start()  // threads of its own; server.port tells the port, server.state what it is doing
    try await wait(server)  // meanwhile, server.reload(_:) puts another configuration in force
    return await server.stop()
}
// README
