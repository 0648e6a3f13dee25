import TunnelPKI
import TunnelTLS

/// The bytes serve as both halves of an identity, as one file may hold both, and as a bundle of anchors.
func checkTLSIdentity(_ bytes: [UInt8]) {
    let outcome = parseTLSIdentity(bytes)
    precondition(outcome == parseTLSIdentity(bytes), "the same bytes, another outcome")
    if case .success(let fingerprint) = outcome {
        precondition(fingerprint.utf8.count == 64)
        // A certificate that can be shown can also be trusted.
        precondition((try? TrustStore(pem: bytes)) != nil)
        if bytes.first != 0x30, bytes.count < PEMDocument.maxBytes {
            precondition(outcome == parseTLSIdentity(bytes + [0x0A]), "a line end matters")
        }
    } else {
        _ = try? TrustStore(pem: bytes)
    }
}

private func parseTLSIdentity(_ bytes: [UInt8]) -> Result<String, TLSIdentityError> {
    do throws(TLSIdentityError) {
        let identity = try TLSIdentity(certificates: bytes, privateKey: bytes)
        precondition(identity.keyBits > 0 && !identity.keyType.isEmpty)
        // Whatever the key is, a context takes it or says why not.
        _ = try? TLSServerContext(identity: identity)
        return .success(identity.fingerprint)
    } catch {
        precondition(!error.reason.isEmpty)
        return .failure(error)
    }
}
