internal import TunnelAPI
internal import TunnelCore

/// Rotates the tunnel token once for each new version. Rotating ends the old token's use for new connections, so the
/// version is noted first; whoever finds the note compares the token in force with the stored one.
struct TokenRotation {
    let client: TunnelsClient
    let context: SetupContext
    let tunnelID: String

    /// - Returns: the token in force, which the store holds as well by then.
    func run(
        version: String, isResumed: Bool, _ bench: inout Workbench
    ) async throws(SetupError) -> TunnelToken {
        let token: TunnelToken
        if isResumed, let found = try await rotatedBefore(bench) {
            token = found
            context.tell("tunnel token was rotated by an earlier run (\(token.id)), version \(version)")
        } else {
            try await bench.save { $0.tokenRotation = SetupState.TokenRotation(tunnelID: tunnelID, version: version) }
            do throws(APIError) {
                token = try await client.rotateToken(of: tunnelID, reason: "setup: token version \(version)")
            } catch { throw SetupError(error) }
            context.tell("tunnel token rotated (\(token.id)), version \(version); restart cloudflared with it")
        }
        var changes = StoreChanges()
        changes.set(.tunnelToken, token.value.reveal())
        changes.set(.tokenVersion, version)
        try await bench.save(changes) { $0.tokenRotation = nil }
        return token
    }

    private func rotatedBefore(_ bench: Workbench) async throws(SetupError) -> TunnelToken? {
        do throws(APIError) {
            let token = try await client.revealToken(of: tunnelID)
            return token.value.reveal() == bench.contents.text(.tunnelToken) ? nil : token
        } catch { throw SetupError(error) }
    }
}
