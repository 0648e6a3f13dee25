import TunnelCore
import TunnelPKI
import TunnelSetup

/// `setup generate-certs`.
enum GenerateCertsCommand {
    private static let domain = Flag("tunnel-domain", takes: "DOMAIN", "the tunnel's domain, as the Console shows it")

    static let command = Command(
        path: ["generate-certs"], summary: "make CA and server certificate by hand, without the API",
        details: "A CA that is there is kept. Register ca.crt in the Console; keep ca.key for the renewals.",
        flags: [domain, .output, .certDuration, .keyType, .json],
        example: "setup generate-certs --tunnel-domain=abcd1234.tunnel.anthropic.com --output=dir:/data"
    ) { invocation in
        let options = try invocation.serverCertificate()
        let name = try invocation.required(domain)
        let store = try await OutputPlace.required(invocation).open(for: .making, invocation)
        let result = try await ManualCertificates(
            store: store, domain: name, options: options, context: invocation.context
        ).run()
        let next =
            "upload ca.crt in the Console: MCP tunnels, the tunnel, Certificates, Add certificate"
            + " (fingerprint \(result.ca.fingerprint))"
        if result.isNewCA { invocation.console.tell("next: \(next)") }
        if invocation.arguments.has(.json) {
            invocation.console.show(
                json: Report(
                    output: store.location, caIsNew: result.isNewCA,
                    ca: CertificateReport(result.ca),
                    serverCertificateIsNew: result.isNewServerCertificate,
                    serverCertificate: CertificateReport(result.serverCertificate),
                    next: result.isNewCA ? next : nil))
        }
        return .done
    }

    private struct Report: Encodable {
        let output: String
        let caIsNew: Bool
        let ca: CertificateReport
        let serverCertificateIsNew: Bool
        let serverCertificate: CertificateReport
        let next: String?
    }
}
