internal import TunnelCore
package import TunnelPKI

/// Holds the certificate that the proxy shows against what the tunnel needs of it, by the rules of `setup verify`.
package struct CertificateCheck: Sendable {
    /// Before its end a certificate is told to expire soon for so long.
    static let noticeDays: Int64 = 30

    private let domain: String?
    /// Hosts of the routes; empty where they are not known.
    private let hosts: [String]
    /// The field and the file that a certificate is from; `nil` where that is not known.
    private let place: String?

    /// For all routes of a configuration.
    package init(_ configuration: ProxyConfiguration) {
        let hosts = configuration.routes.compactMap { configuration.publicHost(of: $0) }
        // Without a tunnel domain all keys are full names, and the domain is what stands behind the first label.
        domain = configuration.tunnelDomain ?? hosts.first.map(Self.parent)
        self.hosts = hosts
        place = "\(configuration.field("tls.cert_file")) \(configuration.tls.certFile)"
    }

    /// For the domain alone; without one, for any.
    package init(tunnelDomain: String?) { (domain, hosts, place) = (tunnelDomain, [], nil) }

    /// The same check without the routes: whether the certificate is good for the tunnel at all.
    package var ofDomain: CertificateCheck { CertificateCheck(tunnelDomain: domain) }

    /// A host name to ask for, which the proxy does not look at.
    package var anyHost: String { hosts.first ?? domain ?? "localhost" }

    /// All that is wrong with a certificate, and whether it ends within ``noticeDays``.
    ///
    /// - Parameter now: seconds since 1970.
    func findings(_ certificate: Certificate, now: Int64) -> [StartupFinding] {
        judge(certificate, now: now).map { finding($0, certificate, now: now) }
    }

    /// Why no client would take a certificate for the tunnel: it has expired, is not valid yet, or has other names.
    ///
    /// - Parameter der: as the proxy shows it.
    package func failures(der: [UInt8], now: Int64) throws(PKIError) -> [StartupFinding] {
        failures(try Certificate(der: der), now: now)
    }

    func failures(_ certificate: Certificate, now: Int64) -> [StartupFinding] {
        judge(certificate, now: now)
            .filter { $0.severity == .error && ($0.rule == .currentlyValid || $0.rule == .names) }
            .map { finding($0, certificate, now: now) }
    }

    /// All that is wrong with the files, by the rules of `setup verify`.
    ///
    /// - Parameter ca: the CA's file; without it, what can be told from the certificate alone.
    func review(certificate: [UInt8], key: [UInt8], ca: [UInt8]?, now: Int64) -> [Finding] {
        let requirements = CertificateRequirements(now: now, expiryWarning: .seconds(Self.noticeDays * 86_400))
        let pair = requirements.checkKey(file: key, certificateFile: certificate)
        if let ca {
            return requirements.checkServer(file: certificate, caFile: ca, tunnelDomain: domain ?? "", hosts: hosts)
                + requirements.checkCA(file: ca) + pair
        }
        guard let leaf = try? Certificate.all(pem: certificate).first else { return pair }
        return judge(leaf, now: now) + pair
    }

    private func judge(_ certificate: Certificate, now: Int64) -> [Finding] {
        CertificateRequirements(now: now, expiryWarning: .seconds(Self.noticeDays * 86_400))
            .checkServed(certificate, tunnelDomain: domain, hosts: hosts)
    }

    private func finding(_ finding: Finding, _ certificate: Certificate, now: Int64) -> StartupFinding {
        let text =
            switch finding.rule {
            case .expiresSoon: "certificate expires soon"
            case .currentlyValid where now > certificate.notAfter: "certificate has expired"
            case .currentlyValid: "certificate is not valid yet"
            case .names: "certificate does not fit the routes"
            default: "certificate may be refused"
            }
        return StartupFinding(
            StartupFinding.ID(rawValue: finding.rule.id), text,
            detail: place.map { "\($0): \(finding.found)" } ?? finding.found, remedy: finding.remedy)
    }

    private static func parent(_ host: String) -> String {
        host.firstIndex(of: ".").map { String(host[host.index(after: $0)...]) } ?? host
    }
}

extension StartupFinding {
    /// Whether a certificate gets it with time alone.
    var isOfTime: Bool { id.rawValue == Finding.Rule.currentlyValid.id || id.rawValue == Finding.Rule.expiresSoon.id }
}
