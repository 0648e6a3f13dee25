/// A CA (certificate authority) with its key: makes itself, and issues server certificates for a tunnel.
///
/// Times are seconds since 1970-01-01 00:00 UTC and come from the caller; the library reads no clock.
public struct CertificateAuthority: Sendable {
    public let certificate: Certificate
    public let key: PrivateKey

    /// Five years, one leap day among them: how long a new CA is valid unless told otherwise.
    public static let defaultValidity = Duration.seconds(1_826 * 86_400)
    /// 90 days (`2160h`): how long a server certificate is valid unless told otherwise.
    public static let defaultServerValidity = Duration.seconds(90 * 86_400)
    /// How far a certificate's start lies before `now`, in seconds, for peers whose clocks are behind.
    static let backdating: Int64 = 300

    /// Puts a CA together from what was stored.
    ///
    /// - Throws: `.keyMismatch` if the two do not belong together; `.unsuitableCA` if the certificate may not
    ///   sign others or has no SubjectKeyIdentifier that theirs could point to.
    public init(certificate: Certificate, key: PrivateKey) throws(PKIError) {
        guard certificate.matches(key) else {
            throw PKIError(.keyMismatch, "the CA's certificate and key do not belong together")
        }
        guard certificate.extensions.basicConstraints?.isCA == true else {
            throw PKIError(.unsuitableCA, "\(certificate.subject) is no CA: BasicConstraints do not say CA:TRUE")
        }
        guard certificate.extensions.keyUsage?.contains(.keyCertSign) ?? true else {
            throw PKIError(.unsuitableCA, "\(certificate.subject) may not sign: KeyUsage lacks keyCertSign")
        }
        guard certificate.extensions.subjectKeyIdentifier?.isEmpty == false else {
            throw PKIError(.unsuitableCA, "\(certificate.subject) has no SubjectKeyIdentifier")
        }
        self.certificate = certificate
        self.key = key
    }

    /// Makes a new CA that signs itself: BasicConstraints CA:TRUE and KeyUsage keyCertSign, cRLSign, both
    /// critical, and a SubjectKeyIdentifier. The certificate starts five minutes before `now`.
    ///
    /// - Parameter validity: from `now` to the end; at least one second, parts of a second are dropped.
    /// - Throws: `.invalidArgument` for a name of more than 64 characters or dates that do not fit, `.library`.
    public static func generate(
        commonName: String = "mcp-tunnel-ca", now: Int64, validity: Duration = defaultValidity,
        keyType: KeyType = .ecdsaP256
    ) throws(PKIError) -> CertificateAuthority {
        let (notBefore, notAfter) = try dates(now: now, validity: validity)
        let key = try PrivateKey.generate(keyType)
        let template = CertificateTemplate(
            commonName: commonName, notBefore: notBefore, notAfter: notAfter,
            extensions: [
                .basicConstraints(isCA: true),
                .keyUsage([.keyCertSign, .crlSign]),
                .subjectKeyIdentifier(try key.keyIdentifier),
            ])
        return try CertificateAuthority(
            certificate: try template.signed(for: key, issuer: nil, issuerKey: key), key: key)
    }

    /// Issues a certificate for a tunnel's domain: subject `CN=<domain>` where it fits its 64 characters, SAN
    /// `<domain>` and `*.<domain>`, serverAuth, AuthorityKeyIdentifier equal to the CA's SubjectKeyIdentifier, signed
    /// with SHA-256. It starts five minutes before `now` and never outlives the CA.
    ///
    /// - Parameters:
    ///   - domain: the tunnel's domain, without a final dot.
    ///   - serverKey: the server's key; new ones come from `PrivateKey.generate`.
    ///   - validity: from `now` to the end; at least one second, parts of a second are dropped.
    ///   - includesWildcard: `false` leaves `*.<domain>` out: then each route's host belongs in `additionalNames`.
    ///   - additionalNames: more DNS names; a leading `*.` is allowed.
    /// - Throws: `.invalidArgument` for what is no DNS name or dates that do not fit, `.unsuitableCA` for a
    ///   CA that has expired, `.library`.
    public func issueServerCertificate(
        domain: String, key serverKey: PrivateKey, now: Int64, validity: Duration = defaultServerValidity,
        includesWildcard: Bool = true, additionalNames: [String] = []
    ) throws(PKIError) -> Certificate {
        guard let caIdentifier = certificate.extensions.subjectKeyIdentifier else {
            throw PKIError(.unsuitableCA, "\(certificate.subject) has no SubjectKeyIdentifier")
        }
        guard now <= certificate.notAfter else {
            throw PKIError(
                .unsuitableCA,
                "the CA \(certificate.subject) expired at \(UTCTime(certificate.notAfter)); make and register a new one"
            )
        }
        let names = try Self.names(domain: domain, includesWildcard: includesWildcard, additionalNames: additionalNames)
        let (notBefore, notAfter) = try Self.dates(now: now, validity: validity)
        var usage: CertificateExtensions.KeyUsage = [.digitalSignature]
        // Only RSA key exchange of TLS 1.2 enciphers to the certificate's key.
        if serverKey.algorithm.isRSA { usage.insert(.keyEncipherment) }
        let commonName = names[0].utf8.count <= 64 ? names[0] : nil
        let template = CertificateTemplate(
            commonName: commonName, notBefore: notBefore, notAfter: min(notAfter, certificate.notAfter),
            extensions: [
                .basicConstraints(isCA: false),
                .keyUsage(usage),
                .serverAuthentication,
                .subjectKeyIdentifier(try serverKey.keyIdentifier),
                .authorityKeyIdentifier(caIdentifier),
                .subjectAlternativeNames(names, isCritical: commonName == nil),
            ])
        return try template.signed(for: serverKey, issuer: certificate, issuerKey: key)
    }

    /// Makes a new key and issues a certificate for it; the rest is as above.
    public func issueServerIdentity(
        domain: String, keyType: KeyType = .rsa4096, now: Int64, validity: Duration = defaultServerValidity,
        includesWildcard: Bool = true, additionalNames: [String] = []
    ) throws(PKIError) -> ServerIdentity {
        let key = try PrivateKey.generate(keyType)
        let certificate = try issueServerCertificate(
            domain: domain, key: key, now: now, validity: validity, includesWildcard: includesWildcard,
            additionalNames: additionalNames)
        return ServerIdentity(certificate: certificate, key: key)
    }

    /// The names in the order of the certificate, the domain first, each once.
    private static func names(
        domain: String, includesWildcard: Bool, additionalNames: [String]
    ) throws(PKIError) -> [String] {
        var names: [String] = []
        for text in [domain] + (includesWildcard ? ["*." + domain] : []) + additionalNames {
            guard let name = DNSName(text), names.isEmpty ? !name.isWildcard : true else {
                throw PKIError(.invalidArgument, "\(DNSName.quoted(text)) is not a DNS name a certificate can hold")
            }
            if !names.contains(name.description) { names.append(name.description) }
        }
        return names
    }

    private static func dates(now: Int64, validity: Duration) throws(PKIError) -> (notBefore: Int64, notAfter: Int64) {
        let (notBefore, underflow) = now.subtractingReportingOverflow(backdating)
        let (notAfter, overflow) = now.addingReportingOverflow(validity.components.seconds)
        guard !underflow, !overflow, validity >= .seconds(1) else {
            throw PKIError(.invalidArgument, "a certificate cannot be valid for \(validity) from \(now)")
        }
        return (notBefore, notAfter)
    }
}

/// A server's certificate and its key, made together.
public struct ServerIdentity: Sendable {
    public let certificate: Certificate
    public let key: PrivateKey

    /// - Parameter key: the one that `certificate` was issued for.
    package init(certificate: Certificate, key: PrivateKey) { (self.certificate, self.key) = (certificate, key) }
}
