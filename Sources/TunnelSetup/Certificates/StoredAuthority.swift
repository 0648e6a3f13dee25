internal import TunnelPKI

/// The CA that a store or the state of the work holds. The key may be absent: an operator may keep it elsewhere.
struct StoredAuthority {
    let certificate: Certificate
    let key: PrivateKey?
    /// As they were read, so that what an operator made stays as it is.
    private let files: (certificate: [UInt8], key: [UInt8]?)

    /// - Returns: `nil` if there is no CA certificate.
    /// - Throws: when a file is there and cannot be used.
    static func read(_ contents: StoreContents) throws(SetupError) -> StoredAuthority? {
        guard let file = contents[.authorityCertificate] else { return nil }
        return try StoredAuthority(certificate: file, key: contents[.authorityKey])
    }

    init(certificate file: [UInt8], key keyFile: [UInt8]?) throws(SetupError) {
        files = (file, keyFile)
        do throws(PKIError) { certificate = try Certificate(pem: file) } catch {
            throw SetupError(
                error, "\(StoreKey.authorityCertificate)", remedy: "put the CA's certificate back, as one PEM block")
        }
        guard let keyFile else {
            key = nil
            return
        }
        do throws(PKIError) {
            let key = try PrivateKey(pem: keyFile)
            // The initialiser is the check that the two belong together and may sign.
            _ = try CertificateAuthority(certificate: certificate, key: key)
            self.key = key
        } catch {
            throw SetupError(
                error, "\(StoreKey.authorityKey)", remedy: "put the key that belongs to the CA's certificate back")
        }
    }

    /// A new one.
    init(_ made: CertificateAuthority) throws(PKIError) {
        (certificate, key) = (made.certificate, made.key)
        files = (made.certificate.pem, try made.key.pem)
    }

    /// Sets certificate and key.
    func record(in changes: inout StoreChanges) {
        changes.set(.authorityCertificate, files.certificate)
        if let key = files.key { changes.set(.authorityKey, key) }
    }

    /// Itself as work that is announced, and back.
    func pending(tunnelID: String) -> SetupState.PendingAuthority {
        SetupState.PendingAuthority(
            tunnelID: tunnelID, certificate: String(decoding: files.certificate, as: UTF8.self),
            key: String(decoding: files.key ?? [], as: UTF8.self))
    }

    init(_ pending: SetupState.PendingAuthority) throws(SetupError) {
        try self.init(certificate: Array(pending.certificate.utf8), key: Array(pending.key.utf8))
    }

    /// What can sign.
    ///
    /// - Throws: when the key is not here.
    func authority() throws(SetupError) -> CertificateAuthority {
        guard let key else {
            throw SetupError(
                .certificate,
                "\(StoreKey.authorityKey) is not there, and a new server certificate must be signed with it",
                remedy: "put the CA's key back for this run")
        }
        do throws(PKIError) { return try CertificateAuthority(certificate: certificate, key: key) } catch {
            throw SetupError(error, "the CA", remedy: "put the CA's certificate and its key back")
        }
    }
}
