internal import TunnelAPI
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
        let note = SetupState.TokenRotation(tunnelID: tunnelID, version: version)
        let token: TunnelToken
        if isResumed, let found = try await rotatedBefore(bench) {
            token = found
            context.tell("tunnel token was rotated by an earlier run (\(token.id))\(suffix(version))")
        } else {
            token = try await rotate(note, reason, &bench)
            context.tell("tunnel token rotated (\(token.id))\(suffix(version)); restart cloudflared with it")
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
        _ note: SetupState.TokenRotation, _ reason: String?, _ bench: inout Workbench
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
        _ note: SetupState.TokenRotation, _ bench: inout Workbench
    ) async throws(SetupError) {
        bench = try await Workbench(bench.store)
        try await bench.save { $0.tokenRotation = note }
    }
}
