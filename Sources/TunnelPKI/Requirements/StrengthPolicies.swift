/// RSA of at least 2048 bits, or ECDSA on a curve that is at least P-256 and that TLS can use.
struct KeyStrengthPolicy: CertificatePolicy {
    static let minRSABits = 2048
    /// Go's TLS refuses larger ones in a handshake, because of the work they make the peer do.
    static let maxRSABits = 8192
    static let curves = ["P-256", "P-384", "P-521"]

    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        let found = "the key is \(certificate.keyAlgorithm)"
        let remedy = "make an ECDSA P-256 or RSA 4096 key, and with it \(context.reissue)"
        switch certificate.keyAlgorithm {
        case .rsa(let bits) where bits > Self.maxRSABits:
            return context.warning(.keyStrength, "\(found), more than many peers accept", remedy: remedy)
        case .rsa(let bits) where bits >= Self.minRSABits: return []
        case .ecdsa(let curve) where Self.curves.contains(curve): return []
        default: return context.error(.keyStrength, found, remedy: remedy)
        }
    }
}

/// The digest under the signature. That of a self-signed CA is checked too: the upload looks at it.
struct SignatureDigestPolicy: CertificatePolicy {
    static let digests = ["SHA256", "SHA384", "SHA512"]

    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        if let digest = certificate.signatureDigest, Self.digests.contains(digest) { return [] }
        let found = certificate.signatureDigest ?? "an algorithm that is unknown or has no digest"
        return context.error(
            .signatureDigest, "it is signed with \(found)",
            remedy: "with SHA-256 (`-sha256` for openssl), \(context.reissue)")
    }
}
