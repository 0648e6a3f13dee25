public import TunnelAPI
internal import TunnelCore
internal import TunnelPKI

/// `setup verify --api`: whether the Tunnels API knows what is stored: the tunnel, its CA, and the token in force.
public struct RegistrationCheck: Sendable {
    /// What was found.
    public struct Report: Sendable {
        public let tunnel: Tunnel
        /// What does not fit, each with what to do about it. Empty if all does.
        public let problems: [String]
    }

    private let client: TunnelsClient

    public init(client: TunnelsClient) { self.client = client }

    /// Shows the token to itself, which the provider records.
    ///
    /// - Parameter location: of `contents`, for the texts.
    public func check(_ contents: StoreContents, at location: String) async throws(SetupError) -> Report {
        guard let id = contents.text(.tunnelID) else {
            throw SetupError(
                .state, "\(location) holds no \(StoreKey.tunnelID), so nothing can be compared with the API",
                remedy: "run setup init, or verify without --api what was made by hand")
        }
        do throws(APIError) {
            let tunnel = try await client.tunnel(id)
            guard !tunnel.isArchived else {
                return Report(
                    tunnel: tunnel, problems: ["tunnel \(id) is archived, which cannot be undone: make another one"])
            }
            let certificates = try await client.certificates(of: id, includeArchived: true)
            let token = try await client.revealToken(of: id)
            let problems = domain(contents, tunnel) + ca(contents, certificates) + self.token(contents, token, location)
            return Report(tunnel: tunnel, problems: problems)
        } catch { throw SetupError(error) }
    }

    private func domain(_ contents: StoreContents, _ tunnel: Tunnel) -> [String] {
        guard let stored = contents.text(.tunnelDomain), stored.lowercased() != tunnel.domain else { return [] }
        let name = contents.name(.tunnelDomain) ?? "something else"
        return ["\(StoreKey.tunnelDomain) says \(name), and the tunnel's domain is \(tunnel.domain): run setup init"]
    }

    private func ca(_ contents: StoreContents, _ certificates: [TunnelCertificate]) -> [String] {
        guard let ca = try? StoredCA.read(contents)?.certificate else { return [] }
        let entries = certificates.filter { $0.fingerprint == ca.fingerprint }
        if entries.contains(where: { !$0.isArchived }) { return [] }
        if let revoked = entries.first {
            return ["the CA (fingerprint \(ca.fingerprint)) was revoked, as \(revoked.id): run setup rotate-ca"]
        }
        return ["the CA (fingerprint \(ca.fingerprint)) is not registered on the tunnel: run setup init"]
    }

    private func token(_ contents: StoreContents, _ token: TunnelToken, _ location: String) -> [String] {
        guard let stored = contents.text(.tunnelToken) else {
            return ["there is no \(StoreKey.tunnelToken): run setup init"]
        }
        return stored == token.value.reveal() ? [] : [StoredTunnel.outdatedNote(at: location, token.id)]
    }
}
