internal import TunnelAPI
internal import TunnelCore
internal import TunnelPKI

/// The CA of the tunnel that a store belonged to before. It stays registered there, and its key is the only one that can
/// sign for that tunnel, so both are kept until the operator says otherwise, and used again on the way back.
enum OldCA {
    /// - Returns: `nil` if none is kept of that tunnel.
    static func read(_ contents: StoreContents, of tunnelID: String) throws(SetupError) -> StoredCA? {
        guard contents.text(.oldTunnelID) == tunnelID, let certificate = contents[.oldCACertificate] else { return nil }
        return try StoredCA(certificate: certificate, key: contents[.oldCAKey])
    }

    /// What the operator should know before a store of another tunnel is given to `tunnel`.
    ///
    /// - Throws: when a CA of a third tunnel is kept, which would be lost.
    static func notes(
        _ contents: StoreContents, _ state: SetupState, _ options: ProvisioningOptions, _ tunnel: Tunnel
    ) throws(SetupError) -> [String] {
        let (before, kept) = (contents.name(.tunnelID) ?? "another", contents.name(.oldTunnelID))
        if let kept, kept != tunnel.id, !options.dropsOldCA {
            throw SetupError(
                .state,
                "the output keeps the CA of tunnel \(kept) already, and would have to keep that of \(before) too",
                remedy:
                    "revoke it there (setup certs list --tunnel-id=\(kept)) and say --drop-old-ca, or use another output"
            )
        }
        var notes: [String] = []
        if let domain = contents.name(.tunnelDomain), domain != tunnel.domain {
            notes.append(
                "the tunnel's domain changes from \(domain) to \(tunnel.domain): change tunnel_domain in the proxy's "
                    + "configuration, and tell those who use the routes' URLs")
        }
        if contents[.caCertificate] != nil {
            let ours = (try? StoredCA.read(contents))?.certificate.fingerprint
            notes.append(
                "the CA of tunnel \(before)\(ours.map { ", fingerprint \($0)," } ?? "") stays registered there. It is kept as "
                    + "\(StoreKey.oldCACertificate) and \(StoreKey.oldCAKey), for the way back: setup certs list "
                    + "--tunnel-id=\(before) shows its id, setup certs revoke ID --tunnel-id=\(before) revokes it, and setup init "
                    + "--drop-old-ca then removes it from the output")
        }
        if let earlier = state.previousCA, earlier.tunnelID != tunnel.id {
            notes.append(
                "the CA before that, \(earlier.certificateID), is still registered on tunnel \(earlier.tunnelID) too: "
                    + "revoke it there")
        }
        return notes
    }

    /// Keeps the CA in `before`, whose place another tunnel's takes.
    static func setAside(_ before: StoreContents, in changes: inout StoreChanges) {
        guard let id = before.text(.tunnelID), let certificate = before[.caCertificate] else { return }
        changes.set(.oldTunnelID, id)
        changes.set(.oldCACertificate, certificate)
        if let key = before[.caKey] { changes.set(.oldCAKey, key) } else { changes.remove(.oldCAKey) }
    }

    static func drop(in changes: inout StoreChanges, from before: StoreContents) {
        for key in [StoreKey.oldTunnelID, .oldCACertificate, .oldCAKey] where before[key] != nil { changes.remove(key) }
    }
}
