internal import TunnelAPI
internal import TunnelCore
public import TunnelPKI

/// `setup generate-certs`: CA and server certificate for a tunnel whose API we have no access to. The operator registers
/// the CA in the Console.
public struct ManualCertificates: Sendable {
    private let store: any CredentialStore
    private let domain: String
    private let options: ServerCertificateOptions
    private let context: SetupContext

    /// - Parameter domain: the tunnel's domain as the Console shows it.
    public init(
        store: any CredentialStore, domain: String, options: ServerCertificateOptions = ServerCertificateOptions(),
        context: SetupContext
    ) {
        (self.store, self.domain, self.options, self.context) = (store, domain.lowercased(), options, context)
    }

    /// What was done. Holds no secret.
    public struct Result: Sendable {
        /// Whether the CA is new and has to be registered.
        public let isNewCA: Bool
        public let ca: Certificate
        public let isNewServerCertificate: Bool
        public let serverCertificate: Certificate
        public let ticketKeys: TicketKeysAction
    }

    /// Keeps a CA that is there, because it may be registered, and a server certificate that is in order.
    public func run() async throws(SetupError) -> Result {
        guard Tunnel.isDomain(domain) else {
            throw SetupError(
                .state, "\(Diagnostic.excerpt(domain)) is not a DNS name",
                remedy: "give the tunnel's domain as the Console shows it")
        }
        var bench = try await Workbench(store)
        if let stored = bench.contents.text(.tunnelDomain), stored.lowercased() != domain {
            let name = bench.contents.name(.tunnelDomain) ?? "what \(StoreKey.tunnelDomain) says"
            throw SetupError(
                .state, "\(store.location) belongs to \(name), not to \(domain)",
                remedy: "use another output, or give that as --tunnel-domain")
        }
        let found = try StoredCA.read(bench.contents)
        guard found != nil || bench.state.isEmpty else {
            throw SetupError(
                .state, "\(store.location) holds the work of a setup init that did not come to its end",
                remedy: "run setup init, which makes the certificates too, or use another output")
        }
        let now = context.now().seconds
        var changes = StoreChanges()
        if bench.contents.text(.tunnelDomain)?.lowercased() != domain { changes.set(.tunnelDomain, domain) }
        let ca: StoredCA
        if let found {
            ca = found
            context.report("CA kept, fingerprint \(found.certificate.fingerprint)")
        } else {
            do throws(PKIError) {
                let made = try CertificateAuthority.generate(now: now)
                ca = try StoredCA(made)
            } catch { throw SetupError(error, "a new CA", remedy: "see the reason") }
            ca.record(in: &changes)
            context.report(
                "CA made, fingerprint \(ca.certificate.fingerprint), valid until \(ca.certificate.end)")
        }
        let findings = ServerIdentityCheck.findings(
            bench.contents, ca: ca.certificate.pem, domain: domain,
            requirements: CertificateRequirements(now: now))
        let present = (try? Certificate.all(pem: bench.contents[.serverCertificate] ?? []))?.first
        var certificate = present
        var report = "server certificate kept"
        let isNew = findings?.hasErrors ?? true || present == nil
        if isNew {
            let issue = ServerCertificateIssue(ca: ca, domain: domain, context: context)
            let issued = try await issue.run(
                key: nil, type: options.keyType(replacing: bench.contents), validity: options.validity,
                reason: findings?.first { $0.severity == .error }?.found ?? "there is none")
            try issued.identity.record(in: &changes)
            (certificate, report) = (issued.identity.certificate, issued.report)
        }
        let ticketKeys = try SharedTicketKeys.provide(bench.contents, in: &changes, context)
        try await bench.save(changes)
        context.report(report)
        if let report = ticketKeys.report { context.report(report) }
        guard let certificate else { throw .unreachable }
        return Result(
            isNewCA: found == nil, ca: ca.certificate, isNewServerCertificate: isNew,
            serverCertificate: certificate, ticketKeys: ticketKeys)
    }
}
