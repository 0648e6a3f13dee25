// docs/embedding.md
import TunnelAPI

/// The domains of the tunnels that an identity can see. The environment says who we are, as it does to `setup`.
func domains(at service: String, environment: [String: String]) async throws -> [String] {
    let client = TunnelsClient(
        service: try ServiceURL(service), credential: try APICredential(environment: environment),
        transport: try HTTPSTransport(proxies: try ProxySettings(environment: environment)))
    return try await client.tunnels().map(\.domain)
}
// docs/embedding.md
