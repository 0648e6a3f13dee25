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
