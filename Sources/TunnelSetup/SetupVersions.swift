internal import TunnelAPI
internal import TunnelCore
internal import TunnelPKI
internal import TunnelTLS

/// The versions of the libraries that make up setup.
public enum SetupVersions {
    public static let libraries: [(name: String, version: String)] = [
        ("TunnelCore", TunnelCoreVersion.current), ("TunnelTLS", TunnelTLSVersion.current),
        ("TunnelPKI", TunnelPKIVersion.current), ("TunnelAPI", TunnelAPIVersion.current),
        ("TunnelSetup", TunnelSetupVersion.current),
    ]
}
