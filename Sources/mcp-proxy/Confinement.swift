import TunnelCore
import TunnelIO
import TunnelProxy

/// The sandbox of the serving proxy: from the configuration that it starts with, for its whole life.
enum Confinement {
    /// To be called before any thread is started.
    ///
    /// - Throws: ``SandboxError`` where `sandbox: required` cannot be had.
    static func apply(
        _ configuration: ProxyConfiguration, file: String, _ environment: ManagerEnvironment
    ) throws(SandboxError) -> SandboxState {
        guard configuration.sandboxMode != .off else { return SandboxState(mode: .off) }
        let rules = configuration.sandboxRules(
            file: ReloadServer.absolute(file), notifySocket: environment["NOTIFY_SOCKET"])
        return try Sandbox.apply(rules, mode: configuration.sandboxMode)
    }

    static func tell(_ state: SandboxState, to log: Log) {
        log(.info, "sandbox") { line in
            line.field("mode", state.mode.rawValue)
            guard state.mode != .off else { return }
            line.field("landlock", state.landlock)
            line.field("calls", state.filtersCalls ? "filtered" : "not filtered")
            line.field("listens_on", state.bind.words)
            line.field("connects_to", state.connect.words)
            if !state.missing.isEmpty { line.field("missing", state.missing.joined(separator: "; ")) }
        }
    }
}
