extension CertificateRequirements {
    /// Checks a certificate that is being served, as far as it can be told from itself: neither the CA's file nor the
    /// form of its own file matters here.
    ///
    /// - Parameters:
    ///   - tunnelDomain: the tunnel's domain; `nil` where it is not known, and then any DNS name will do.
    ///   - hosts: full names of the routes' hosts below the domain, each of which must be covered; those that are no DNS
    ///     names are left out. Without one the wildcard for the domain must be there.
    /// - Returns: all findings; empty if a peer that trusts the CA takes it.
    package func checkServed(_ certificate: Certificate, tunnelDomain: String?, hosts: [String] = []) -> [Finding] {
        var context = context(.server)
        context.tunnelDomain = tunnelDomain.flatMap { DNSName($0) }
        context.hosts = hosts.compactMap { DNSName($0) }
        var findings = check(certificate, Self.server, context)
        if context.tunnelDomain == nil, certificate.dnsNames.allSatisfy({ DNSName($0) == nil }) {
            findings += context.error(
                .names, "it has no DNS name among the subject alternative names",
                remedy: "with the tunnel's domain and `*.` before it as names, \(context.reissue)")
        }
        return findings
    }
}
