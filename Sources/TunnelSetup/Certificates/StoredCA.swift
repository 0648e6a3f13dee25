internal import TunnelAPI
internal import TunnelPKI

/// The CA that a store or the state of the work holds. The key may be absent: an operator may keep it elsewhere.
struct StoredCA {
    let certificate: Certificate
    let key: PrivateKey?
    /// As they were read, so that what an operator made stays as it is.
    private let files: (certificate: [UInt8], key: [UInt8]?)

    /// - Returns: `nil` if there is no CA certificate.
    /// - Throws: when a file is there and cannot be used.
    static func read(_ contents: StoreContents) throws(SetupError) -> StoredCA? {
        guard let file = contents[.caCertificate] else {
            // Another CA would take its place, and with the key all renewals of what it has signed would be lost.
            guard contents[.caKey] == nil else {
                throw SetupError(
                    .state, "\(StoreKey.caKey) is there without \(StoreKey.caCertificate)",
                    remedy: "put the certificate back, or move the key away to begin with a new CA")
            }
            return nil
        }
        return try StoredCA(certificate: file, key: contents[.caKey])
    }

    init(certificate file: [UInt8], key keyFile: [UInt8]?) throws(SetupError) {
        files = (file, keyFile)
        do throws(PKIError) { certificate = try Certificate(pem: file) } catch {
            throw SetupError(
                error, "\(StoreKey.caCertificate)", remedy: "put the CA's certificate back, as one PEM block")
        }
        guard let keyFile else {
            key = nil
            return
        }
        let remedy = "put the key that belongs to the CA's certificate back"
        do throws(PKIError) { key = try PrivateKey(pem: keyFile) } catch {
            throw SetupError(error, "\(StoreKey.caKey)", remedy: remedy)
        }
        guard key.map(certificate.matches) ?? true else {
            throw SetupError(
                .certificate, "\(StoreKey.caKey) and \(StoreKey.caCertificate) do not belong together",
                remedy: remedy)
        }
    }

    /// A new one.
    init(_ made: CertificateAuthority) throws(PKIError) {
        (certificate, key) = (made.certificate, made.key)
        files = (made.certificate.pem, try made.key.pem)
    }

    /// Sets certificate and key.
    func record(in changes: inout StoreChanges) {
        changes.set(.caCertificate, files.certificate)
        // The key of another CA may be there.
        if let key = files.key { changes.set(.caKey, key) } else { changes.remove(.caKey) }
    }

    /// Itself as work that is announced, and back.
    func pending(tunnelID: String) -> SetupState.PendingCA {
        SetupState.PendingCA(
            tunnelID: tunnelID, certificate: String(decoding: files.certificate, as: UTF8.self),
            key: String(decoding: files.key ?? [], as: UTF8.self))
    }

    init(_ pending: SetupState.PendingCA) throws(SetupError) {
        try self.init(certificate: Array(pending.certificate.utf8), key: Array(pending.key.utf8))
    }

    /// The CA that an earlier run announced, with its entry on the tunnel if it is registered there.
    ///
    /// - Returns: `nil` if another one has to be made: it was revoked meanwhile, or was made by a wrong clock, or has
    ///   expired.
    static func resumable(
        _ pending: SetupState.PendingCA, _ certificates: [TunnelCertificate], now: Int64
    ) throws(SetupError) -> (StoredCA, TunnelCertificate?)? {
        let found = try StoredCA(pending)
        let findings = CertificateRequirements(now: now).checkCA(file: found.certificate.pem)
        guard !findings.hasErrors else { return nil }
        let entries = certificates.filter { $0.fingerprint == found.certificate.fingerprint }
        let active = entries.first { !$0.isArchived }
        return entries.isEmpty || active != nil ? (found, active) : nil
    }

    /// Looks at the domain before anything is done for it: a certificate cannot be issued for what is none, and by then
    /// one of the tunnel's two places for a CA would be taken. It is not repeated, for a key may lie in its file.
    static func check(domain: String) throws(SetupError) {
        guard Tunnel.isDomain(domain) else {
            throw SetupError(
                .state,
                "the tunnel's domain is not a host name that has names below it",
                remedy: "see \(StoreKey.tunnelDomain), and the tunnel in the Console")
        }
    }

    /// What can sign.
    ///
    /// - Parameter now: seconds since 1970-01-01 00:00 UTC.
    /// - Throws: when the key is not here, or the certificate is not a CA's or has expired.
    func signer(now: Int64) throws(SetupError) -> CertificateAuthority {
        guard let key else {
            throw SetupError(
                .certificate,
                "\(StoreKey.caKey) is not there, and a new server certificate must be signed with it",
                remedy: "put the CA's key back for this run")
        }
        let remedy =
            "make a new one with setup rotate-ca; without access to the API, move \(StoreKey.caCertificate) and "
            + "\(StoreKey.caKey) away and run setup generate-certs"
        guard now <= certificate.notAfter else {
            throw SetupError(.certificate, "the CA expired at \(certificate.end)", remedy: remedy)
        }
        do throws(PKIError) { return try CertificateAuthority(certificate: certificate, key: key) } catch {
            throw SetupError(error, "the CA", remedy: remedy)
        }
    }
}
