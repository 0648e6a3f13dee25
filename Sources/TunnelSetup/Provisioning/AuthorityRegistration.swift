internal import TunnelAPI
internal import TunnelCore
internal import TunnelPKI

/// Registers a CA on a tunnel, so that a lost answer neither fills the second slot nor leaves a CA unregistered.
struct AuthorityRegistration {
    let client: TunnelsClient
    let context: SetupContext
    let tunnelID: String

    /// Makes a CA and puts it into the state of the work, so that the one that gets registered is never lost.
    func prepare(_ bench: inout Workbench) async throws(SetupError) -> StoredAuthority {
        let authority: StoredAuthority
        do throws(PKIError) {
            authority = try StoredAuthority(try CertificateAuthority.generate(now: context.now().seconds))
        } catch { throw SetupError(error, "a new CA", remedy: "see the reason") }
        if let dropped = bench.state.authority, dropped.tunnelID != tunnelID {
            context.tell("note: \(Self.droppedNote(dropped))")
        }
        try await bench.save { $0.authority = authority.pending(tunnelID: tunnelID) }
        context.tell(
            "CA made, fingerprint \(authority.certificate.fingerprint), valid until \(authority.certificate.end)")
        return authority
    }

    /// What the operator should know when the announced CA of another tunnel is given up.
    static func droppedNote(_ dropped: SetupState.PendingAuthority) -> String {
        "a CA that was made for tunnel \(dropped.tunnelID) by an earlier run is dropped; if it was registered there, "
            + "revoke it with setup certs revoke"
    }

    /// - Returns: what the API registered, which is this certificate and no other.
    func register(_ certificate: Certificate) async throws(SetupError) -> TunnelCertificate {
        let registered: TunnelCertificate
        do throws(APIError) {
            // With the fingerprint the client can tell a lost answer from a lost request.
            registered = try await client.addCertificate(
                certificate.pem, to: tunnelID, fingerprint: certificate.fingerprint)
        } catch { throw SetupError(error) }
        guard registered.fingerprint == certificate.fingerprint, !registered.isArchived else {
            throw SetupError(
                .api,
                "the API answered with another certificate: \(registered.id), fingerprint \(registered.fingerprint)",
                remedy: "look at the tunnel's certificates in the Console and run again")
        }
        context.tell("CA registered as \(registered.id)")
        return registered
    }
}
