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
        // A wildcard further down is good for none that a route's key of one label names.
        let usable = names.filter { $0.isWithin(domain) && $0 != domain && !$0.isWildcard }
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
        guard let ca = context.ca else { return [] }
        if certificate == ca {
            return context.error(.issuer, "it is the CA's own certificate", remedy: context.reissue)
        }
        let hasName = certificate.isIssuedInName(of: ca)
        let isSigned = certificate.isSigned(by: ca)
        if hasName, isSigned, certificate.isIssuedInName(of: certificate) {
            return context.error(
                .issuer,
                "its own name is the CA's, \(quoted(ca.subject)): OpenSSL may take a certificate of its issuer's name for"
                    + " self-signed, and looks for no CA then", remedy: "with a subject of its own, \(context.reissue)")
        }
        if hasName, isSigned {
            guard !certificate.isIssuedInExactName(of: ca) else { return [] }
            return context.error(
                .issuer,
                "it names the issuer \(quoted(certificate.issuer)), and the CA writes its name otherwise, "
                    + "\(quoted(ca.subject)): in upper and lower case, blanks or the kind of string; clients that compare "
                    + "names byte for byte, as those in Go do, find no CA for it",
                remedy: "with the subject of the CA as it is (`-CA FILE`), \(context.reissue)")
        }
        if isSigned {
            return context.error(
                .issuer,
                "the CA's key signed it, but it names \(quoted(certificate.issuer)) as issuer and the CA is"
                    + " \(quoted(ca.subject))", remedy: context.reissue)
        }
        if let intermediate = context.others.first(where: { certificate.isSigned(by: $0) }), intermediate != ca {
            return context.error(
                .intermediates, "the intermediate \(quoted(intermediate.subject)) of the same file signed it",
                remedy: "without the intermediate, \(context.reissue)")
        }
        if certificate.isSigned(by: certificate) {
            return context.error(.issuer, "it is self-signed", remedy: context.reissue)
        }
        if hasName {
            return context.error(
                .issuer, "it names the CA \(quoted(ca.subject)) as issuer, but another key signed it",
                remedy: "the CA was probably made anew since: put the former CA back, or \(context.reissue)")
        }
        return context.error(
            .issuer, "its issuer is \(quoted(certificate.issuer)), the CA is \(quoted(ca.subject))",
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
        guard let ca = context.ca else { return [] }
        guard let expected = ca.extensions.subjectKeyIdentifier else {
            return context.error(
                .authorityKeyIdentifier, "the CA has no SubjectKeyIdentifier to compare with",
                remedy: "make a CA with `subjectKeyIdentifier=hash`, register it, and \(context.reissue)")
        }
        if identifier == expected {
            guard certificate.authorityMismatch(with: ca) != nil else { return [] }
            return context.error(
                .authorityKeyIdentifier,
                "the keyid in AuthorityKeyIdentifier is the CA's, but the issuer or the serial number beside it is that of"
                    + " another certificate", remedy: "with `authorityKeyIdentifier=keyid`, \(context.reissue)")
        }
        return context.error(
            .authorityKeyIdentifier,
            "AuthorityKeyIdentifier is \(hexadecimal(identifier, separator: ":")), the CA's SubjectKeyIdentifier is"
                + " \(hexadecimal(expected, separator: ":"))", remedy: remedy)
    }
}

/// What the CA forbids by NameConstraints (RFC 5280 §4.2.1.10).
struct NameConstraintsPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        guard let ca = context.ca, let violation = ca.constraintViolation(of: certificate) else {
            return []
        }
        return context.error(
            .nameConstraints, "the CA does not allow its names: \(violation)",
            remedy: "make a CA without NameConstraints, or one that permits the tunnel's domain, and register it")
    }
}

/// ExtendedKeyUsage may be absent; if it is there it says serverAuth. anyExtendedKeyUsage does not stand for it: the
/// published requirement does not name it, and OpenSSL does not take it.
struct ServerExtendedKeyUsagePolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        guard let purposes = certificate.extensions.extendedKeyUsage,
            !purposes.contains(CertificateExtensions.serverAuthentication)
        else {
            return []
        }
        return context.error(
            .extendedKeyUsage,
            "ExtendedKeyUsage has \(purposes.isEmpty ? "no purpose" : purposes.joined(separator: ", "))",
            remedy: "with `extendedKeyUsage=serverAuth`, \(context.reissue)")
    }
}

/// TLS 1.3 signs the handshake with the certificate's key, whatever its kind (RFC 8446 §4.4.2.2). OpenSSL lets a usage
/// pass that TLS 1.2 could do with; with none of those it refuses the server.
struct ServerKeyUsagePolicy: CertificatePolicy {
    private static let usable: CertificateExtensions.KeyUsage = [.digitalSignature, .keyEncipherment, .keyAgreement]

    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        guard let usage = certificate.extensions.keyUsage, !usage.contains(.digitalSignature) else { return [] }
        let found = "KeyUsage lacks digitalSignature"
        let remedy = "with `keyUsage=critical,digitalSignature` or without KeyUsage, \(context.reissue)"
        return usage.isDisjoint(with: Self.usable)
            ? context.error(.keyUsage, "\(found), and has nothing else that a server needs", remedy: remedy)
            : context.warning(.keyUsage, found, remedy: remedy)
    }
}

/// A server that holds a CA's key can make certificates of its own.
struct NotCAPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        guard certificate.extensions.basicConstraints?.isCA == true else { return [] }
        return context.warning(
            .notCA, "BasicConstraints says CA:TRUE",
            remedy: "with `basicConstraints=critical,CA:FALSE`, \(context.reissue)")
    }
}
