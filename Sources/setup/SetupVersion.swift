import TunnelSetup

/// What `--version` prints: the program's version is that of the library, and each library has its own.
enum SetupVersion {
    static var text: String {
        let libraries = SetupVersions.libraries.map { "  \($0.name) \($0.version)" }.joined(separator: "\n")
        return "setup \(TunnelSetupVersion.current)\n\(libraries)"
    }
}
