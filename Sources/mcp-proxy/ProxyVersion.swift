import TunnelCore
import TunnelProxy

/// What `-version` prints: the program's version is that of the engine, and each library has its own.
enum ProxyVersion {
    static var text: String {
        let libraries = ProxyVersions.libraries.map { "  \($0.name) \($0.version)" }.joined(separator: "\n")
        return "mcp-proxy \(TunnelProxyVersion.current)\n\(libraries)"
    }
}
