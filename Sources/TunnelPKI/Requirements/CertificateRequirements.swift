/// Checks certificate and key files against everything that a tunnel needs of them, and tells all that is wrong at
/// once, so that an operator does not learn it one failed upload or handshake at a time.
///
/// Pure: files come in as bytes, the time as a parameter. Each point is a `CertificatePolicy` of its own.
public struct CertificateRequirements: Sendable {
    /// The moment to check for, in seconds since 1970-01-01 00:00 UTC.
    public let now: Int64
    /// A certificate that ends within this time gets an `expiresSoon` warning. Zero: none does.
    public let expiryWarning: Duration

    public init(now: Int64, expiryWarning: Duration = .zero) {
        self.now = now
        self.expiryWarning = expiryWarning
    }

    private static let common: [any CertificatePolicy] = [
        ValidityPolicy(), KeyStrengthPolicy(), SignatureDigestPolicy(), ExtensionsPolicy(), CriticalExtensionsPolicy(),
        SerialNumberPolicy(), DateFormPolicy(), VersionPolicy(),
    ]
    private static let ca: [any CertificatePolicy] =
        [
            CABasicConstraintsPolicy(), CASubjectKeyIdentifierPolicy(), CAKeyUsagePolicy(),
            CAExtendedKeyUsagePolicy(), SelfSignaturePolicy(),
        ] + common
    static let server: [any CertificatePolicy] =
        [
            IssuerPolicy(), AuthorityKeyIdentifierPolicy(), ServerNamesPolicy(), ServerExtendedKeyUsagePolicy(),
            ServerKeyUsagePolicy(), NotCAPolicy(), OutlivesCAPolicy(), NameConstraintsPolicy(),
        ] + common

    /// Checks what would be registered as the tunnel's CA: the requirements of the upload.
    ///
    /// - Parameter file: the whole file, as it would be uploaded.
    /// - Returns: all findings, those about the file first; empty if it can be registered.
    public func checkCA(file: [UInt8]) -> [Finding] {
        let context = context(.ca)
        let (certificates, findings) = CertificateFile(file).read(in: context)
        guard let certificate = certificates.first else { return findings }
        return findings + check(certificate, Self.ca, context)
    }

    /// Checks what the proxy would present inside the tunnel: the requirements of the inner handshake.
    ///
    /// - Parameters:
    ///   - file: the whole file; the server's own certificate is the first.
    ///   - caFile: the registered CA's file. Only what matters to the server's certificate is checked of it; the
    ///     rest is `checkCA`'s.
    ///   - tunnelDomain: the tunnel's domain, without a final dot.
    ///   - hosts: full names of the routes' hosts, each of which must be covered. Empty: the wildcard for the domain
    ///     must be there, and a certificate for single hosts below the domain gets a warning that names them.
    /// - Returns: all findings, those about the file first; empty if the handshake can succeed.
    public func checkServer(
        file: [UInt8], caFile: [UInt8], tunnelDomain: String, hosts: [String] = []
    ) -> [Finding] {
        var context = context(.server)
        var (certificates, findings) = CertificateFile(file).read(in: context)
        let (cas, caFindings) = CertificateFile(caFile).read(in: self.context(.ca))
        if cas.isEmpty { findings += caFindings }
        for text in [tunnelDomain] + hosts where DNSName(text)?.isWildcard != false {
            findings += context.error(
                .names, "\(DNSName.quoted(text)), which the certificate should cover, is not a DNS name",
                remedy: "give the tunnel's domain and the routes' hosts without scheme, port or final dot")
        }
        guard let certificate = certificates.first else { return findings }
        certificates.removeFirst()
        context.ca = cas.first
        context.others = certificates
        context.tunnelDomain = DNSName(tunnelDomain)
        context.hosts = hosts.compactMap { DNSName($0) }
        return findings + check(certificate, Self.server, context)
    }

    /// Checks a private key and that it belongs to the first certificate of the other file.
    ///
    /// - Returns: all findings; empty if the pair can be used.
    public func checkKey(file: [UInt8], certificateFile: [UInt8]) -> [Finding] {
        let context = context(.key)
        do {
            let key = try PrivateKey(pem: file)
            let certificates = CertificateFile(certificateFile).read(in: context).certificates
            guard let certificate = certificates.first else {
                return context.error(
                    .keyMatches, "the certificate to compare the key with cannot be read",
                    remedy: "put the server's certificate in place")
            }
            guard !certificate.matches(key) else { return [] }
            if let index = certificates.firstIndex(where: { $0.matches(key) }) {
                return context.error(
                    .keyMatches,
                    "the key is that of certificate \(index + 1) in the file; the first is \(certificate.subject)",
                    remedy: "put the server's own certificate first, and behind it the one that signed it")
            }
            return context.error(
                .keyMatches,
                "the key (\(key.algorithm)) is not that of the certificate \(certificate.subject)"
                    + " (\(certificate.keyAlgorithm))",
                remedy: "put the key and the certificate that were made together in place, or issue a new pair "
                    + "(setup renew-cert)")
        } catch {
            return context.error(
                .readableKey, error.reason,
                remedy: "give one unencrypted PEM key, PKCS#8 if in doubt, or issue a new pair (setup renew-cert)")
        }
    }

    func check(
        _ certificate: Certificate, _ policies: [any CertificatePolicy], _ context: PolicyContext
    ) -> [Finding] {
        policies.flatMap { $0.findings(certificate, in: context) }
    }

    func context(_ document: Finding.Document) -> PolicyContext {
        PolicyContext(document: document, now: now, expiryWarning: max(0, expiryWarning.components.seconds))
    }
}

/// One point of the requirements. Small on purpose: `CertificateRequirements` composes them, and each is tested alone.
protocol CertificatePolicy: Sendable {
    /// Nothing where the point is met.
    func findings(_ certificate: Certificate, in context: PolicyContext) -> [Finding]
}

/// What a policy may look at besides the certificate.
struct PolicyContext: Sendable {
    let document: Finding.Document
    /// Seconds since 1970-01-01 00:00 UTC.
    let now: Int64
    /// Seconds before the end at which a certificate expires soon.
    var expiryWarning: Int64 = 0
    /// The CA that must have signed a server's certificate; `nil` when that is itself what is checked.
    var ca: Certificate?
    /// The other certificates of the same file.
    var others: [Certificate] = []
    var tunnelDomain: DNSName?
    /// Hosts to be covered; empty asks for all hosts one label below the domain.
    var hosts: [DNSName] = []

    func error(_ rule: Finding.Rule, _ found: String, remedy: String) -> [Finding] {
        [Finding(rule: rule, severity: .error, document: document, found: found, remedy: remedy)]
    }

    func warning(_ rule: Finding.Rule, _ found: String, remedy: String) -> [Finding] {
        [Finding(rule: rule, severity: .warning, document: document, found: found, remedy: remedy)]
    }

    /// How to get a better certificate of the kind that is being checked.
    var reissue: String {
        document == .ca
            ? "make a new CA, register it, and issue the server certificate anew from it (setup rotate-ca)"
            : "issue a new server certificate from the registered CA (setup renew-cert)"
    }
}
