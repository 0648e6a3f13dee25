public import TunnelAPI
internal import TunnelCore

/// The tunnel that a store belongs to, for those who only look at it or replace its token.
public struct StoredTunnel: Sendable {
    private var bench: Workbench
    private let id: String

    /// - Throws: when the store holds another tunnel than `id`.
    public init(_ store: any CredentialStore, expecting id: String) async throws(SetupError) {
        self.id = id
        bench = try await Workbench(store)
        guard bench.contents.text(.tunnelID) == id else {
            let stored = bench.contents.name(.tunnelID)
            throw SetupError(
                .state, "\(store.location) holds \(stored.map { "tunnel \($0)" } ?? "no tunnel"), not \(id)",
                remedy: "name the output of that tunnel")
        }
    }

    /// The id of the tunnel in `store`; `nil` if it holds none.
    public static func id(in store: any CredentialStore) async throws(SetupError) -> String? {
        do throws(StoreError) { return try await store.load().text(.tunnelID) } catch {
            throw SetupError(error, at: store.location)
        }
    }

    public var location: String { bench.store.location }

    /// Puts the token in force in the place of the stored one.
    public mutating func fetchToken(_ client: TunnelsClient) async throws(SetupError) -> TunnelToken {
        let token: TunnelToken
        do throws(APIError) { token = try await client.revealToken(of: id) } catch { throw SetupError(error) }
        var changes = StoreChanges()
        changes.set(.tunnelToken, token.value.reveal())
        let isNew = bench.contents.text(.tunnelToken) != token.value.reveal()
        let rotation = bench.state.tokenRotation.flatMap { $0.tunnelID == id ? $0 : nil }
        // With another token the rotation that an earlier run began is done.
        if isNew, let version = rotation?.version { changes.set(.tokenVersion, version) }
        try await bench.save(changes) { state in
            if isNew || rotation?.version == nil { state.tokenRotation = nil }
        }
        return token
    }

    /// Rotates the token and puts the new one in the place of the stored one; its version stays. Should this be cut off
    /// in between, ``Provisioner`` fetches the token in force.
    ///
    /// - Parameter reason: for the audit log.
    public mutating func rotateToken(
        _ client: TunnelsClient, reason: String? = nil, context: SetupContext
    ) async throws(SetupError) -> TunnelToken {
        try await TokenRotation(client: client, context: context, tunnelID: id)
            .run(version: nil, reason: reason, isResumed: false, &bench)
    }
}
