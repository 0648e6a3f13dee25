internal import TunnelAPI
internal import TunnelCore
internal import TunnelPKI
internal import TunnelTLS

/// The version of the library `TunnelSetup`, by semantic versioning. Its history is in CHANGELOG.md beside this file.
public enum TunnelSetupVersion {
    /// For example `0.2.0`.
    public static let current = "0.2.0"
}

/// The versions of the libraries that make up setup.
package enum SetupVersions {
    package static let libraries: [(name: String, version: String)] = [
        ("TunnelCore", TunnelCoreVersion.current), ("TunnelTLS", TunnelTLSVersion.current),
        ("TunnelPKI", TunnelPKIVersion.current), ("TunnelAPI", TunnelAPIVersion.current),
        ("TunnelSetup", TunnelSetupVersion.current),
    ]
}
