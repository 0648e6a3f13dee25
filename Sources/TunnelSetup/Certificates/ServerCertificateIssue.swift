internal import TunnelCore
internal import TunnelPKI

/// Issues a server certificate and its key from a CA.
struct ServerCertificateIssue {
    let authority: StoredAuthority
    let domain: String
    let context: SetupContext

    /// - Parameter key: one that is being made already; `nil` makes one.
    func run(
        key pending: PendingKey?, type: KeyType, validity: Duration, reason: String
    ) async throws(SetupError) -> ServerIdentity {
        let issuer = try authority.signer(now: context.now().seconds)
        let certificate: Certificate, key: PrivateKey
        do throws(PKIError) {
            key = try await (pending ?? PendingKey(type)).value()
            certificate = try issuer.issueServerCertificate(
                domain: domain, key: key, now: context.now().seconds, validity: validity)
        } catch {
            throw SetupError(
                error, "a server certificate",
                remedy: "see whether \(StoreKey.tunnelDomain) and the certificate's duration are right")
        }
        context.tell(
            "server certificate issued for \(domain) and *.\(domain), \(key.algorithm), valid until \(certificate.end)"
                + " (\(reason))")
        return ServerIdentity(certificate: certificate, key: key)
    }
}

extension Certificate {
    /// The end of its validity, in words.
    var end: String { UnixTime(seconds: notAfter).toTheSecond }
}

extension ServerIdentity {
    /// Sets certificate and key, which change as a pair.
    func record(in changes: inout StoreChanges) throws(SetupError) {
        do throws(PKIError) { changes.set(.serverKey, try key.pem) } catch {
            throw SetupError(error, "the new server key", remedy: "run again")
        }
        changes.set(.serverCertificate, certificate.pem)
    }
}
