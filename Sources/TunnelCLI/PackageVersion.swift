/// The version of the package: the tag that SwiftPM resolves, and what the programs, the image and the Debian package are
/// called by. The libraries in it have versions of their own; deploy/release/versions.toml says which belong together.
package enum PackageVersion {
    /// For example `0.2.0`.
    package static let current = "0.2.0"
}
