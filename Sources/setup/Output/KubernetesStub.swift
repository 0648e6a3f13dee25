import TunnelIO
import TunnelSetup
enum KubernetesSecretClient { static func isValidName(_ n: String) -> Bool { true } }
enum InClusterConfiguration { static func isPresent(environment: [String: String]) -> Bool { false } }
enum KubernetesSecretStore {
    static func inCluster(name: String, environment: [String: String], loop: Loop) throws(StoreError)
        -> any CredentialStore
    {
        throw StoreError(.unavailable, "x", remedy: "y")
    }
}
