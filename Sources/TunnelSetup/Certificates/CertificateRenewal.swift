internal import TunnelCore
public import TunnelPKI

/// `setup renew-cert`: a new server certificate from the stored CA, and the rotation of the session ticket keys. Asks nobody
/// but the store.
public struct CertificateRenewal: Sendable {
    private let store: any CredentialStore
    private let options: ServerCertificateOptions
    private let renewBefore: Duration
    private let context: SetupContext

    /// - Parameter renewBefore: do nothing while more than this remains; zero always renews.
    public init(
        store: any CredentialStore, options: ServerCertificateOptions = ServerCertificateOptions(),
        renewBefore: Duration = .zero, context: SetupContext
    ) {
        (self.store, self.options, self.renewBefore, self.context) = (store, options, renewBefore, context)
    }

    /// What was done. Holds no secret.
    public struct Result: Sendable {
        /// Whether there is a new certificate; `false` when it was not needed.
        public let isRenewed: Bool
        /// The certificate in force.
        public let certificate: Certificate
        /// They rotate once a day, whether the certificate is renewed or not.
        public let ticketKeys: TicketKeysAction
    }

    /// Begins anew where another run gets ahead of it, as ``Provisioner/run()`` does.
    public func run() async throws(SetupError) -> Result {
        try await Overtaken.retry(at: store.location, context, runOnce)
    }

    private func runOnce() async throws(SetupError) -> Result {
        var bench = try await Workbench(store)
        guard let domain = bench.contents.text(.tunnelDomain) else {
            throw SetupError(
                .state, "\(store.location) has no \(StoreKey.tunnelDomain)",
                remedy: "run setup init, or setup generate-certs where there is no access to the API")
        }
        try StoredCA.check(domain: domain)
        guard let ca = try StoredCA.read(bench.contents) else {
            throw SetupError(
                .state, "\(store.location) has no \(StoreKey.caCertificate)",
                remedy: "run setup init first; it finishes what an earlier run has begun")
        }
        var changes = StoreChanges()
        let ticketKeys = try SharedTicketKeys.rotate(bench.contents, in: &changes, context)
        let reason: String
        switch judge(bench.contents, ca, domain) {
        case .keep(let certificate):
            try await bench.save(changes)
            if let report = ticketKeys.report { context.report(report) }
            context.report(
                "server certificate is valid until \(certificate.end), for more than \(GoDuration(clamping: renewBefore)): "
                    + "not renewed")
            return Result(isRenewed: false, certificate: certificate, ticketKeys: ticketKeys)
        case .renew(let why): reason = why
        }
        let issue = ServerCertificateIssue(ca: ca, domain: domain, context: context)
        let issued: IssuedCertificate
        do throws(SetupError) {
            issued = try await issue.run(
                key: nil, type: options.keyType(replacing: bench.contents), validity: options.validity, reason: reason)
        } catch {
            // Where the CA's key is kept elsewhere, these go on all the same.
            try await bench.save(changes)
            if let report = ticketKeys.report { context.report(report) }
            throw error
        }
        let certificate = issued.identity.certificate
        try issued.identity.record(in: &changes)
        try await bench.save(changes)
        if let report = ticketKeys.report { context.report(report) }
        context.report(issued.report)
        if certificate.notAfter == ca.certificate.notAfter {
            context.report(
                "note: the CA itself ends at \(ca.certificate.end), and the server certificate with it; "
                    + "change the CA with setup rotate-ca")
        }
        return Result(isRenewed: true, certificate: certificate, ticketKeys: ticketKeys)
    }

    private enum Judgement {
        case keep(Certificate)
        case renew(String)
    }

    private func judge(_ contents: StoreContents, _ ca: StoredCA, _ domain: String) -> Judgement {
        let now = context.now().seconds
        guard
            let findings = ServerIdentityCheck.findings(
                contents, ca: ca.certificate.pem, domain: domain,
                requirements: CertificateRequirements(now: now)),
            let certificate = (try? Certificate.all(pem: contents[.serverCertificate] ?? []))?.first
        else { return .renew("there is none") }
        if let first = findings.first(where: { $0.severity == .error }) { return .renew(first.found) }
        if renewBefore <= .zero { return .renew("as asked for") }
        let (left, isOverflow) = certificate.notAfter.subtractingReportingOverflow(now)
        if isOverflow ? certificate.notAfter > now : .seconds(left) > renewBefore { return .keep(certificate) }
        return .renew("the old one ends at \(certificate.end)")
    }
}
