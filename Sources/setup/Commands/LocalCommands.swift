import TunnelAPI
import TunnelCLI
import TunnelCore
import TunnelPKI
import TunnelSetup

/// `setup generate-certs`.
enum GenerateCertsCommand {
    static let domain = CommandFlag(
        "tunnel-domain", takes: "DOMAIN", "the tunnel's domain, as the Console shows it")

    static func domain(_ invocation: Invocation) throws(UsageError) -> String {
        let name = try invocation.required(domain)
        if Tunnel.isDomain(name) { return name }
        let shown = Diagnostic.excerpt(name)
        throw UsageError(
            "--tunnel-domain is the tunnel's domain as the Console shows it, and \(shown) is not a DNS name")
    }

    static let command = SetupCommand(
        path: ["generate-certs"], summary: "make CA and server certificate by hand, without the API",
        details: "A CA that is there is kept. Register ca.crt in the Console; keep ca.key for the renewals.",
        flags: [domain, .output, .outputOwner, .certDuration, .keyType, .json],
        example: "setup generate-certs --tunnel-domain=abcd1234.tunnel.anthropic.com --output=dir:/data"
    ) { invocation in
        let options = try invocation.serverCertificate()
        let name = try domain(invocation)
        let store = try await OutputPlace.required(invocation).open(for: .making, invocation)
        let result = try await ManualCertificates(
            store: store, domain: name, options: options, context: invocation.context
        ).run()
        let next =
            "upload ca.crt in the Console: MCP tunnels, the tunnel, Certificates, Add certificate"
            + " (fingerprint \(result.ca.fingerprint))"
        if result.isNewCA { invocation.console.note("next: \(next)") }
        if invocation.arguments.has(.json) {
            invocation.console.show(
                json: Report(
                    output: store.location, caIsNew: result.isNewCA,
                    ca: CertificateReport(result.ca),
                    serverCertificateIsNew: result.isNewServerCertificate,
                    serverCertificate: CertificateReport(result.serverCertificate),
                    ticketKeys: result.ticketKeys.rawValue,
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
        let ticketKeys: String
        let next: String?
    }
}

/// `setup renew-cert`.
enum RenewCertCommand {
    private static let renewBefore = CommandFlag(
        "renew-before", takes: "DURATION",
        "do nothing while more than this remains, for example 720h (default 0: always renew)")

    static let command = SetupCommand(
        path: ["renew-cert"], summary: "issue a new server certificate from the stored CA, without the API",
        details:
            "The proxy takes the new certificate up by itself; nothing has to be restarted. Once a day the keys of TLS "
            + "session tickets are rotated too.",
        flags: [.output, .outputOwner, .certDuration, renewBefore, .keyType, .json],
        example: "setup renew-cert --output=dir:/data --renew-before=720h"
    ) { invocation in
        let options = try invocation.serverCertificate()
        let before = try invocation.duration(renewBefore) ?? .zero
        let store = try await OutputPlace.required(invocation).open(for: .changing, invocation)
        let result = try await CertificateRenewal(
            store: store, options: options, renewBefore: before, context: invocation.context
        ).run()
        if invocation.arguments.has(.json) {
            invocation.console.show(
                json: Report(
                    output: store.location, renewed: result.isRenewed,
                    certificate: CertificateReport(result.certificate),
                    ticketKeys: result.ticketKeys.rawValue))
        }
        return .done
    }

    private struct Report: Encodable {
        let output: String
        let renewed: Bool
        let certificate: CertificateReport
        let ticketKeys: String
    }
}
