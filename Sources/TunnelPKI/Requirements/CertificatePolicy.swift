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
    /// The authority that must have signed a server's certificate; `nil` when that is itself what is checked.
    var authority: Certificate?
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
        document == .authority
            ? "make a new CA, register it, and issue the server certificate anew from it"
            : "issue a new server certificate from the registered CA"
    }
}
