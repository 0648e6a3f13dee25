/// BasicConstraints of a CA: present, critical, CA:TRUE. Each miss is told by itself.
struct AuthorityBasicConstraintsPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        let remedy = "with `basicConstraints=critical,CA:TRUE`, \(context.reissue)"
        guard let constraints = certificate.extensions.basicConstraints else {
            return context.error(.authorityBasicConstraints, "BasicConstraints is absent", remedy: remedy)
        }
        var misses: [String] = []
        if !constraints.isAuthority {
            misses.append("BasicConstraints says CA:FALSE; is this the server's certificate?")
        }
        if !constraints.isCritical { misses.append("BasicConstraints is not critical") }
        return misses.flatMap { context.error(.authorityBasicConstraints, $0, remedy: remedy) }
    }
}

/// A server certificate's AuthorityKeyIdentifier must have something to point to.
struct AuthoritySubjectKeyIdentifierPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        guard certificate.extensions.subjectKeyIdentifier?.isEmpty ?? true else { return [] }
        return context.error(
            .authoritySubjectKeyIdentifier, "SubjectKeyIdentifier is absent",
            remedy: "with `subjectKeyIdentifier=hash`, \(context.reissue)")
    }
}

/// KeyUsage of a CA: present, with keyCertSign.
struct AuthorityKeyUsagePolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        let usage = certificate.extensions.keyUsage
        guard usage?.contains(.keyCertSign) != true else { return [] }
        return context.error(
            .authorityKeyUsage, usage == nil ? "KeyUsage is absent" : "KeyUsage lacks keyCertSign",
            remedy: "with `keyUsage=critical,keyCertSign,cRLSign`, \(context.reissue)")
    }
}

/// A certificate that names itself as issuer, by name and by key identifier, but was not signed by its key: damaged, or
/// put together from parts of two CAs. A rollover certificate, signed by the former key of the same name, is let pass.
struct SelfSignaturePolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        let extensions = certificate.extensions
        let namesOwnKey =
            extensions.authorityKeyIdentifier == nil
            || extensions.authorityKeyIdentifier == extensions.subjectKeyIdentifier
        guard certificate.isIssuedInName(of: certificate), namesOwnKey, !certificate.isSigned(by: certificate) else {
            return []
        }
        return context.error(
            .selfSignature, "it says that it signed itself, but the signature does not verify",
            remedy: "fetch the file again, or \(context.reissue)")
    }
}
