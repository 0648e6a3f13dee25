/// Signed directly by the registered CA, by name and by signature. Says as closely as it can who signed instead.
struct IssuerPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        guard let authority = context.authority else { return [] }
        if certificate == authority {
            return context.error(.issuer, "it is the CA's own certificate", remedy: context.reissue)
        }
        let hasName = certificate.isIssuedInName(of: authority)
        let isSigned = certificate.isSigned(by: authority)
        guard !hasName || !isSigned else { return [] }
        if isSigned {
            return context.error(
                .issuer,
                "the CA's key signed it, but it names \(quoted(certificate.issuer)) as issuer and the CA is"
                    + " \(quoted(authority.subject))", remedy: context.reissue)
        }
        if let intermediate = context.others.first(where: { certificate.isSigned(by: $0) }), intermediate != authority {
            return context.error(
                .intermediates, "the intermediate \(quoted(intermediate.subject)) of the same file signed it",
                remedy: "register that intermediate as the tunnel's CA, or \(context.reissue)")
        }
        if certificate.isSigned(by: certificate) {
            return context.error(.issuer, "it is self-signed", remedy: context.reissue)
        }
        if hasName {
            return context.error(
                .issuer, "it names the CA \(quoted(authority.subject)) as issuer, but another key signed it",
                remedy: "the CA was probably made anew since: put the former CA back, or \(context.reissue)")
        }
        return context.error(
            .issuer, "its issuer is \(quoted(certificate.issuer)), the CA is \(quoted(authority.subject))",
            remedy: context.reissue)
    }

    private func quoted(_ name: String) -> String { "\"\(name)\"" }
}

/// AuthorityKeyIdentifier present, and the CA's SubjectKeyIdentifier.
struct AuthorityKeyIdentifierPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        let remedy = "with `authorityKeyIdentifier=keyid,issuer`, \(context.reissue)"
        guard let identifier = certificate.extensions.authorityKeyIdentifier else {
            return context.error(
                .authorityKeyIdentifier, "AuthorityKeyIdentifier, or the keyid in it, is absent", remedy: remedy)
        }
        guard let authority = context.authority else { return [] }
        guard let expected = authority.extensions.subjectKeyIdentifier else {
            return context.error(
                .authorityKeyIdentifier, "the CA has no SubjectKeyIdentifier to compare with",
                remedy: "make a CA with `subjectKeyIdentifier=hash`, register it, and \(context.reissue)")
        }
        guard identifier != expected else { return [] }
        return context.error(
            .authorityKeyIdentifier,
            "AuthorityKeyIdentifier is \(hexadecimal(identifier, separator: ":")), the CA's SubjectKeyIdentifier is"
                + " \(hexadecimal(expected, separator: ":"))", remedy: remedy)
    }
}

/// What the CA forbids by NameConstraints (RFC 5280 §4.2.1.10).
struct NameConstraintsPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        guard let authority = context.authority, let violation = authority.constraintViolation(of: certificate) else {
            return []
        }
        return context.error(
            .nameConstraints, "the CA does not allow its names: \(violation)",
            remedy: "make a CA without NameConstraints, or one that permits the tunnel's domain, and register it")
    }
}
