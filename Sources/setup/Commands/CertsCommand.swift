import TunnelAPI
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelPKI
import TunnelSetup

/// `setup certs list|add|revoke`: the CA certificates of a tunnel.
enum CertsCommand {
    private static let archived = CommandFlag("archived", "those that are revoked too")
    private static let common: [CommandFlag] = [.apiURL, .tunnelID, .output, .outputOwner, .apiGeneration, .json]

    static let list = SetupCommand(
        path: ["certs", "list"], summary: "list the CA certificates of a tunnel",
        flags: common + [archived],
        example: "setup certs list --api-url=https://api.anthropic.com --output=dir:/data"
    ) { invocation in
        let id = try await invocation.tunnelID()
        let certificates = try await invocation.client().certificates(
            of: id, includeArchived: invocation.arguments.has(archived))
        if invocation.arguments.has(.json) {
            invocation.console.show(json: certificates.map { TunnelCertificateReport($0) })
        } else {
            let rows = certificates.map {
                [$0.id, $0.fingerprint, $0.createdAt.toTheSecond, $0.expiresAt?.toTheSecond ?? "-", state($0)]
            }
            invocation.console.show(TextTable.of([["ID", "FINGERPRINT", "CREATED", "EXPIRES", "STATE"]] + rows))
        }
        return .done
    }

    static let add = SetupCommand(
        path: ["certs", "add"], operands: "FILE", operandCount: 1...1,
        summary: "register a CA certificate on a tunnel, after checking it",
        flags: common,
        example: "setup certs add ca.crt --tunnel-id=tnl_01Hx9Kp2RtQvMn3sWbYdLcF8 --api-url=https://api.anthropic.com"
    ) { invocation in
        let path = invocation.arguments.operands[0]
        let file = try InputFile.read(path)
        let findings = CertificateRequirements(now: SystemClock.now().seconds).checkCA(file: file)
        guard !findings.hasErrors else { throw SetupError.unfit(path, findings) }
        for finding in findings { invocation.console.note("\(path): \(finding)") }
        let id = try await invocation.tunnelID()
        // With the fingerprint the client knows a lost response from a lost request.
        let fingerprint = (try? Certificate(pem: file))?.fingerprint
        show(try await invocation.client().addCertificate(file, to: id, fingerprint: fingerprint), invocation)
        return .done
    }

    static let revoke = SetupCommand(
        path: ["certs", "revoke"], operands: "ID", operandCount: 1...1,
        summary: "revoke a CA certificate: what it has signed is refused from then on",
        flags: common + [.yes],
        example:
            "setup certs revoke tcrt_01JmWq4ZxnBvR7tKpY2sLdH9 --api-url=https://api.anthropic.com --output=dir:/data"
    ) { invocation in
        let tunnelID = try await invocation.tunnelID()
        let client = try invocation.client()
        let certificate = try await client.certificate(invocation.arguments.operands[0], of: tunnelID)
        try await invocation.confirm(
            "Revoking \(certificate.fingerprint) cannot be undone"
                + (try await client.certificates(of: tunnelID).contains { $0.id != certificate.id }
                    ? "" : "; it is the last one, and the tunnel refuses all traffic without"),
            byTyping: certificate.id)
        show(try await client.archiveCertificate(certificate.id, of: tunnelID), invocation)
        return .done
    }

    private static func show(_ certificate: TunnelCertificate, _ invocation: Invocation) {
        guard !invocation.arguments.has(.json) else {
            return invocation.console.show(json: TunnelCertificateReport(certificate))
        }
        var rows = [
            ["id", certificate.id], ["tunnel", certificate.tunnelID], ["fingerprint", certificate.fingerprint],
        ]
        rows.append(["created", certificate.createdAt.toTheSecond])
        if let time = certificate.expiresAt { rows.append(["expires", time.toTheSecond]) }
        if let time = certificate.archivedAt { rows.append(["revoked", time.toTheSecond]) }
        invocation.console.show(TextTable.of(rows))
    }

    private static func state(_ certificate: TunnelCertificate) -> String {
        certificate.isArchived ? "revoked" : "active"
    }
}

/// A registered CA certificate in a result.
private struct TunnelCertificateReport: Encodable {
    let id: String
    let tunnelId: String
    let fingerprint: String
    let createdAt: String
    let expiresAt: String?
    let archivedAt: String?

    init(_ certificate: TunnelCertificate) {
        (id, tunnelId, fingerprint) = (certificate.id, certificate.tunnelID, certificate.fingerprint)
        createdAt = certificate.createdAt.toTheSecond
        expiresAt = certificate.expiresAt?.toTheSecond
        archivedAt = certificate.archivedAt?.toTheSecond
    }
}
