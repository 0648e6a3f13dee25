/// The version of the library `TunnelSetup`, by semantic versioning. Its history is in CHANGELOG.md beside this file.
public enum TunnelSetupVersion {
    /// For example `0.1.0`.
    public static let current = "0.1.0"
}
