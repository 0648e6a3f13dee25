internal import TunnelCore
internal import TunnelPKI
internal import TunnelTLS

/// The version of the library `TunnelProxy`, by semantic versioning. Its history is in CHANGELOG.md beside this file.
public enum TunnelProxyVersion {
    /// For example `0.2.0`.
    public static let current = "0.2.0"
}

/// The versions of the libraries that make up the proxy.
package enum ProxyVersions {
    package static let libraries: [(name: String, version: String)] = [
        ("TunnelCore", TunnelCoreVersion.current), ("TunnelTLS", TunnelTLSVersion.current),
        ("TunnelPKI", TunnelPKIVersion.current), ("TunnelProxy", TunnelProxyVersion.current),
    ]
}
