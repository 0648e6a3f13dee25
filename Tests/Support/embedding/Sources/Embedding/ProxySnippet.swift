// README
import TunnelProxy

/// Serves a configuration until the task is cancelled; `false` when requests had to be cut off then.
func serve(_ path: String, onStart: (ProxyServer) -> Void) async throws -> Bool {
    let configuration = try ProxyConfiguration.load(path: path)
    let log = try ProxyLog.standardError(configuration)
    let server = try ProxyServer(configuration: configuration, log: log.log)
    try server.start()  // on threads of its own; from here on server.address and server.port are known
    onStart(server)  // server.reload(_:) puts another configuration in force, server.stop() ends it from anywhere
    try await server.run()
    return await server.stop()  // everybody who asks gets the same result
}
// README
