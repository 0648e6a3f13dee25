import CLinux
import Glibc
import TunnelAPI
import TunnelCLI
import TunnelCore

/// The environment variables that setup reads, taken once at the start.
///
/// Those that hold secrets are then overwritten where they lie: neither `/proc/PID/environ`, nor a child, nor a memory dump
/// shows them from the environment any more.
struct SetupEnvironment: Sendable {
    private let values: [String: String]
    private let secrets: [String: Secret]

    private static let plainNames = [
        "API_URL", "TUNNEL_ID", "ANTHROPIC_FEDERATION_RULE_ID", "ANTHROPIC_ORGANIZATION_ID", "ANTHROPIC_WORKSPACE_ID",
        "ANTHROPIC_IDENTITY_TOKEN_FILE", SetupSandbox.variable, "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT",
        "NO_PROXY", "no_proxy",
    ]
    /// A proxy's address may hold a password.
    private static let secretNames = ["API_TOKEN", "ANTHROPIC_IDENTITY_TOKEN", "HTTPS_PROXY", "https_proxy"]

    /// For tests.
    init(_ variables: [String: String]) {
        values = variables.filter { !Self.secretNames.contains($0.key) && !$0.value.isEmpty }
        secrets = variables.filter { Self.secretNames.contains($0.key) && !$0.value.isEmpty }.mapValues(Secret.init)
    }

    /// Takes the process's own variables. Before any thread is started, because the environment has no lock.
    static func take() -> SetupEnvironment {
        var variables: [String: String] = [:]
        for name in plainNames + secretNames {
            guard let value = getenv(name) else { continue }
            variables[name] = String(cString: value)
            guard secretNames.contains(name) else { continue }
            // SAFETY: getenv points into the process's own environment block, which is writable, and no other thread
            // runs yet.
            memset(value, 0, strlen(value))
            unsetenv(name)
        }
        return SetupEnvironment(variables)
    }

    /// A variable that holds no secret; `nil` if it is not set or empty.
    subscript(name: String) -> String? { values[name] }

    func credential() throws(CredentialError) -> APICredential {
        try APICredential(environment: revealed(["API_TOKEN", "ANTHROPIC_IDENTITY_TOKEN"]))
    }

    /// All that is wrong with the variables that say who we are.
    func credentialErrors() -> [CredentialError] {
        APICredential.errors(in: revealed(["API_TOKEN", "ANTHROPIC_IDENTITY_TOKEN"]))
    }

    /// Where an identity's token would come from, whatever else is wrong; `nil` beside `API_TOKEN`.
    var identityToken: IdentityTokenSource? {
        secrets["API_TOKEN"] == nil ? WorkloadIdentity.tokenSource(in: revealed(["ANTHROPIC_IDENTITY_TOKEN"])) : nil
    }

    func proxies() throws(UsageError) -> ProxySettings {
        do { return try ProxySettings(environment: revealed(["HTTPS_PROXY", "https_proxy"])) } catch {
            throw UsageError("\(error)")
        }
    }

    /// Of the proxy that is named, whether or not it has to do with what is asked for.
    func proxyPort() throws -> UInt16? {
        let address = secrets["HTTPS_PROXY"] ?? secrets["https_proxy"]
        return try address.map { try HTTPProxy($0.reveal()).port }
    }

    /// The variables with the named secrets among them.
    private func revealed(_ names: [String]) -> [String: String] {
        var all = values
        for name in names { all[name] = secrets[name]?.reveal() }
        return all
    }

    /// The variables by which a process knows that it runs in a Kubernetes pod.
    var cluster: [String: String] { values.filter { $0.key.hasPrefix("KUBERNETES_SERVICE_") } }
}
