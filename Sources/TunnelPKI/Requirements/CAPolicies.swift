/// BasicConstraints of a CA: present, critical, CA:TRUE. Each miss is told by itself.
struct CABasicConstraintsPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        let remedy = "with `basicConstraints=critical,CA:TRUE`, \(context.reissue)"
        guard let constraints = certificate.extensions.basicConstraints else {
            return context.error(.caBasicConstraints, "BasicConstraints is absent", remedy: remedy)
        }
        var misses: [String] = []
        if !constraints.isCA {
            misses.append("BasicConstraints says CA:FALSE; is this the server's certificate?")
        }
        if !constraints.isCritical { misses.append("BasicConstraints is not critical") }
        return misses.flatMap { context.error(.caBasicConstraints, $0, remedy: remedy) }
    }
}

/// A server certificate's AuthorityKeyIdentifier must have something to point to.
struct CASubjectKeyIdentifierPolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        guard certificate.extensions.subjectKeyIdentifier?.isEmpty ?? true else { return [] }
        return context.error(
            .caSubjectKeyIdentifier, "SubjectKeyIdentifier is absent",
            remedy: "with `subjectKeyIdentifier=hash`, \(context.reissue)")
    }
}

/// KeyUsage of a CA: present, with keyCertSign.
struct CAKeyUsagePolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        let usage = certificate.extensions.keyUsage
        guard usage?.contains(.keyCertSign) != true else { return [] }
        return context.error(
            .caKeyUsage, usage == nil ? "KeyUsage is absent" : "KeyUsage lacks keyCertSign",
            remedy: "with `keyUsage=critical,keyCertSign,cRLSign`, \(context.reissue)")
    }
}

/// ExtendedKeyUsage of a CA narrows what it may vouch for. anyExtendedKeyUsage alone is not enough for OpenSSL, which
/// looks for serverAuth in each certificate of the chain.
struct CAExtendedKeyUsagePolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        guard let purposes = certificate.extensions.extendedKeyUsage,
            !purposes.contains(CertificateExtensions.serverAuthentication)
        else { return [] }
        return context.error(
            .caExtendedKeyUsage,
            "ExtendedKeyUsage has \(purposes.isEmpty ? "no purpose" : purposes.joined(separator: ", "))",
            remedy: "without ExtendedKeyUsage, \(context.reissue)")
    }
}

/// Self-signed, by name, by key identifier and by signature. A tunnel's CA stands alone: no certificate above it is
/// registered beside it, so a client that looks for the root of the chain would find none.
struct SelfSignaturePolicy: CertificatePolicy {
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding] {
        func error(_ found: String, _ remedy: String = context.reissue) -> [Finding] {
            context.error(.selfSignature, found, remedy: remedy)
        }
        guard certificate.isIssuedInName(of: certificate) else {
            return error("it was issued by \"\(certificate.issuer)\", and is itself \"\(certificate.subject)\"")
        }
        guard certificate.isSigned(by: certificate) else {
            // A new key under the old name names the old key as its issuer's; what names its own was damaged, or put
            // together from parts of two CAs.
            return certificate.authorityMismatch(with: certificate) == nil
                ? error(
                    "it says that it signed itself, but the signature does not verify",
                    "fetch the file again, or \(context.reissue)")
                : error("another key of the same name signed it")
        }
        guard certificate.authorityMismatch(with: certificate) == nil else {
            return error("it signed itself, but its AuthorityKeyIdentifier names another certificate")
        }
        return []
    }
}
