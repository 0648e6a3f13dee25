internal import TunnelCore
internal import TunnelPKI
internal import TunnelTLS

/// The versions of the libraries that make up the proxy.
public enum ProxyVersions {
    public static let libraries: [(name: String, version: String)] = [
        ("TunnelCore", TunnelCoreVersion.current), ("TunnelTLS", TunnelTLSVersion.current),
        ("TunnelPKI", TunnelPKIVersion.current), ("TunnelProxy", TunnelProxyVersion.current),
    ]
}
