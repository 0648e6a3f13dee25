package import TunnelAPI
internal import TunnelCore
internal import TunnelPKI

/// Registers a CA on a tunnel, so that a lost response neither fills the second slot nor leaves a CA unregistered.
struct CARegistration {
    let client: TunnelsClient
    let context: SetupContext
    let tunnelID: String

    /// Makes a CA and puts it into the state of the work, so that the one that gets registered is never lost.
    func prepare(_ bench: inout Workbench) async throws(SetupError) -> StoredCA {
        let ca: StoredCA
        do throws(PKIError) {
            ca = try StoredCA(try CertificateAuthority.generate(now: context.now().seconds))
        } catch { throw SetupError(error, "a new CA", remedy: "see the reason") }
        if let dropped = bench.state.ca, dropped.tunnelID != tunnelID {
            context.report("note: \(Self.droppedNote(dropped))")
        }
        try await bench.save { $0.ca = ca.pending(tunnelID: tunnelID) }
        context.report(
            "CA made, fingerprint \(ca.certificate.fingerprint), valid until \(ca.certificate.end)")
        return ca
    }

    /// What the operator should know when the announced CA of another tunnel is given up.
    static func droppedNote(_ dropped: SetupState.PendingCA) -> String {
        "a CA that was made for tunnel \(dropped.tunnelID) by an earlier run is dropped; if it was registered there, "
            + "revoke it with setup certs revoke"
    }

    /// - Returns: what the API registered, which is this certificate and no other.
    func register(_ certificate: Certificate) async throws(SetupError) -> TunnelCertificate {
        let registered: TunnelCertificate
        do throws(APIError) {
            // With the fingerprint the client knows a lost response from a lost request.
            registered = try await client.addCertificate(
                certificate.pem, to: tunnelID, fingerprint: certificate.fingerprint)
        } catch { throw SetupError(error) }
        guard registered.fingerprint == certificate.fingerprint, !registered.isArchived else {
            throw SetupError(
                .api,
                "the API returned another certificate: \(registered.id), fingerprint \(registered.fingerprint)",
                remedy: "look at the tunnel's certificates in the Console and run again")
        }
        context.report("CA registered as \(registered.id)")
        return registered
    }
}

/// The places for registered CAs that a tunnel has.
package enum CASlots {
    /// Active certificates that a tunnel may have at once: the old and the new one while a CA is changed.
    package static let count = 2

    /// The error that names who holds the slots and how to free one.
    package static func full(_ active: [TunnelCertificate]) -> SetupError {
        let holders = active.map { certificate in
            "\(certificate.id) (fingerprint \(certificate.fingerprint), registered \(certificate.createdAt.toTheSecond))"
        }
        return SetupError(
            .api,
            "the tunnel has \(active.count) active CA certificates already, and \(count) is the most: "
                + holders.joined(separator: ", "),
            remedy: "revoke one that nobody uses any more, with setup certs revoke ID or in the Console, and run again")
    }
}
