public import TunnelAPI
internal import TunnelCore

/// Rotates the tunnel token once for each new version. Rotating ends the old token's use for new connections, so it is
/// noted first; whoever finds the note asks for the token in force.
struct TokenRotation {
    let client: TunnelsClient
    let context: SetupContext
    let tunnelID: String

    /// - Parameters:
    ///   - version: what the new token will be; `nil` leaves the version that is stored.
    ///   - isResumed: whether an earlier run has begun this rotation, so that a token other than the stored one is
    ///     the one that is wanted.
    /// - Returns: the token in force, which the store holds as well by then.
    func run(
        version: String?, reason: String?, isResumed: Bool, _ bench: inout Workbench
    ) async throws(SetupError) -> TunnelToken {
        let note = SetupState.PendingRotation(tunnelID: tunnelID, version: version)
        let token: TunnelToken
        if isResumed, let found = try await rotatedBefore(bench) {
            token = found
            context.report("tunnel token was rotated by an earlier run (\(token.id))\(suffix(version))")
        } else {
            token = try await rotate(note, reason, &bench)
            context.report("tunnel token rotated (\(token.id))\(suffix(version)); restart cloudflared with it")
        }
        var changes = StoreChanges()
        changes.set(.tunnelToken, token.value.reveal())
        if let version { changes.set(.tokenVersion, version) }
        do throws(SetupError) { try await bench.save(changes) { $0.tokenRotation = nil } } catch {
            if error.isOvertaken { try await announceAgain(note, &bench) }
            throw error
        }
        return token
    }

    private func suffix(_ version: String?) -> String { version.map { ", version \($0)" } ?? "" }

    private func rotate(
        _ note: SetupState.PendingRotation, _ reason: String?, _ bench: inout Workbench
    ) async throws(SetupError) -> TunnelToken {
        try await bench.save { $0.tokenRotation = note }
        do throws(APIError) { return try await client.rotateToken(of: tunnelID, reason: reason) } catch {
            // Or the next run would take a rotation that was refused for one that is wanted.
            if !error.mayHaveBeenActedOn { try await bench.save { $0.tokenRotation = nil } }
            throw SetupError(error)
        }
    }

    private func rotatedBefore(_ bench: Workbench) async throws(SetupError) -> TunnelToken? {
        do throws(APIError) {
            let token = try await client.revealToken(of: tunnelID)
            return token.value.reveal() == bench.contents.text(.tunnelToken) ? nil : token
        } catch { throw SetupError(error) }
    }

    /// Another run has written meanwhile. It may have rotated too, before this one did, and what it stored is void then.
    private func announceAgain(
        _ note: SetupState.PendingRotation, _ bench: inout Workbench
    ) async throws(SetupError) {
        bench = try await Workbench(bench.store)
        try await bench.save { $0.tokenRotation = note }
    }
}

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

    public var location: String { bench.store.location }

    /// What is to be known of a stored token that is not the one in force.
    static func outdatedNote(at location: String, _ id: String) -> String {
        "the tunnel token in \(location) is not the one in force (\(id)): somebody has rotated it elsewhere, and cloudflared "
            + "cannot connect with it any more; setup init --refresh-token fetches the one in force"
    }

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
