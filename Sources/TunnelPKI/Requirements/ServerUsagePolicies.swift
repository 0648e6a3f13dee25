/// ExtendedKeyUsage may be absent; if it is there it says serverAuth. anyExtendedKeyUsage counts as well
/// (RFC 5280 §4.2.1.12), though the published requirement does not name it, hence the warning.
struct ServerExtendedKeyUsagePolicy: CertificatePolicy {
    static let serverAuthentication = "1.3.6.1.5.5.7.3.1"
    static let any = "2.5.29.37.0"

    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        guard let purposes = certificate.extensions.extendedKeyUsage, !purposes.contains(Self.serverAuthentication)
        else {
            return []
        }
        let found = "ExtendedKeyUsage has \(purposes.isEmpty ? "no purpose" : purposes.joined(separator: ", "))"
        let remedy = "with `extendedKeyUsage=serverAuth`, \(context.reissue)"
        return purposes.contains(Self.any)
            ? context.warning(.extendedKeyUsage, found, remedy: remedy)
            : context.error(.extendedKeyUsage, found, remedy: remedy)
    }
}

/// TLS 1.3 signs the handshake with the certificate's key, whatever its kind (RFC 8446 §4.4.2.2).
struct ServerKeyUsagePolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        guard let usage = certificate.extensions.keyUsage, !usage.contains(.digitalSignature) else { return [] }
        return context.warning(
            .keyUsage, "KeyUsage lacks digitalSignature",
            remedy: "with `keyUsage=critical,digitalSignature` or without KeyUsage, \(context.reissue)")
    }
}

/// A server that holds a CA's key can make certificates of its own.
struct NotAuthorityPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        guard certificate.extensions.basicConstraints?.isAuthority == true else { return [] }
        return context.warning(
            .notAuthority, "BasicConstraints says CA:TRUE",
            remedy: "with `basicConstraints=critical,CA:FALSE`, \(context.reissue)")
    }
}
