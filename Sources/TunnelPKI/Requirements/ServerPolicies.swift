/// DNS names for the routes' hosts. A wildcard stands for one label, and the common name counts for nothing.
struct ServerNamesPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        let written = certificate.dnsNames
        let names = written.compactMap { DNSName($0) }
        var findings: [Finding] = []
        let unusable = written.filter { DNSName($0) == nil }
        if !unusable.isEmpty {
            findings += context.warning(
                .names, "no peer can match the names \(unusable.map(\.debugDescription).joined(separator: ", "))",
                remedy: "with plain DNS names and at most a leading `*.`, \(context.reissue)")
        }
        guard let domain = context.tunnelDomain, !domain.isWildcard else { return findings }
        if context.hosts.isEmpty {
            findings += checkWildcard(names, certificate, domain, context)
        } else {
            findings += checkHosts(names, certificate, domain, context)
        }
        return findings
    }

    /// Without knowing the routes: all hosts one label below the domain.
    private func checkWildcard(
        _ names: [DNSName], _ certificate: Certificate, _ domain: DNSName, _ context: PolicyContext
    ) -> [Finding] {
        if names.contains(where: { $0.isWildcard && $0.labels.dropFirst() == domain.labels[...] }) { return [] }
        // The bare domain is no route's host.
        let usable = names.filter { $0.isWithin(domain) && $0 != domain }
        guard usable.isEmpty else {
            return context.warning(
                .names, "it is good only for \(coverage(usable)); other routes of the tunnel will fail",
                remedy: remedy(domain, [], context))
        }
        return context.error(.names, mismatch(names, certificate, domain), remedy: remedy(domain, [], context))
    }

    private func checkHosts(
        _ names: [DNSName], _ certificate: Certificate, _ domain: DNSName, _ context: PolicyContext
    ) -> [Finding] {
        let missing = context.hosts.filter { host in !names.contains { $0.covers(host) } }
        guard !missing.isEmpty else { return [] }
        let list = missing.map(\.description).joined(separator: ", ")
        return context.error(
            .names, "no name matches \(list); \(mismatch(names, certificate, domain))",
            remedy: remedy(domain, missing, context))
    }

    /// What the certificate is good for, since it is not good for what was asked.
    private func mismatch(_ names: [DNSName], _ certificate: Certificate, _ domain: DNSName) -> String {
        guard names.isEmpty else { return "it is good for \(coverage(names)), the tunnel's domain is \(domain)" }
        let others = certificate.extensions.subjectAlternativeNames.map(\.description).joined(separator: ", ")
        let subject = certificate.subject.isEmpty ? "" : " (the subject \(certificate.subject) is not looked at)"
        return others.isEmpty
            ? "it has no subject alternative names\(subject)" : "it has no DNS name, only \(others)\(subject)"
    }

    private func coverage(_ names: [DNSName]) -> String {
        names.map { name in
            name.isWildcard
                ? "hosts one label below \(name.labels.dropFirst().joined(separator: "."))" : name.description
        }.joined(separator: ", ")
    }

    private func remedy(_ domain: DNSName, _ missing: [DNSName], _ context: PolicyContext) -> String {
        // What the wildcard would not reach has to be listed by itself.
        let extra = missing.filter { $0.labels.dropFirst() != domain.labels[...] && $0 != domain }
        let names = ["DNS:\(domain)", "DNS:*.\(domain)"] + extra.map { "DNS:\($0)" }
        return "with `subjectAltName=\(names.joined(separator: ","))`, \(context.reissue)"
    }
}

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

/// ExtendedKeyUsage may be absent; if it is there it says serverAuth. anyExtendedKeyUsage counts as well
/// (RFC 5280 §4.2.1.12), though the published requirement does not name it, hence the warning.
struct ServerExtendedKeyUsagePolicy: CertificatePolicy {
    static let any = "2.5.29.37.0"

    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        guard let purposes = certificate.extensions.extendedKeyUsage,
            !purposes.contains(CertificateExtensions.serverAuthentication)
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
