/// The version of the library `TunnelAPI`, by semantic versioning. Its history is in CHANGELOG.md beside this file.
public enum TunnelAPIVersion {
    /// For example `0.2.0`.
    public static let current = "0.2.0"
}
