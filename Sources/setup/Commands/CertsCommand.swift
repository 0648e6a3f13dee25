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

    private static let force = CommandFlag("force", "revoke it although it is the one in use")

    static let list = SetupCommand(
        path: ["certs", "list"], summary: "list the CA certificates of a tunnel",
        flags: common + [archived, .archivedOnly],
        example: "setup certs list --api-url=https://api.anthropic.com --output=dir:/data"
    ) { invocation in
        let stored = try await invocation.stored()
        let id = try invocation.tunnelID(in: stored)
        let ours = stored.flatMap { stored in ca(stored.contents).map { ($0.fingerprint, stored.location) } }
        let all = try await invocation.client().certificates(of: id, includeArchived: true)
        let active = all.filter { !$0.isArchived }
        let shown =
            if invocation.arguments.has(.archivedOnly) {
                all.filter(\.isArchived)
            } else { invocation.arguments.has(archived) ? all : active }
        let isOurs = { (certificate: TunnelCertificate) in ours.map { $0.0 == certificate.fingerprint } }
        if invocation.arguments.has(.json) {
            invocation.console.show(json: shown.map { TunnelCertificateReport($0, isOurs: isOurs($0)) })
        } else {
            let rows = shown.map { certificate in
                [
                    certificate.id, certificate.fingerprint, certificate.createdAt.toTheSecond,
                    certificate.expiresAt?.toTheSecond ?? "-", state(certificate),
                    isOurs(certificate) == true ? "that of \(ours?.1 ?? "")" : "",
                ]
            }
            invocation.console.show(
                TextTable.of([["ID", "FINGERPRINT", "CREATED", "EXPIRES", "STATE", ours == nil ? "" : "CA"]] + rows))
        }
        invocation.console.note("\(active.count) of \(CASlots.count) places for a CA are taken")
        if let ours, !active.contains(where: { $0.fingerprint == ours.0 }) {
            invocation.console.note("note: the CA in \(ours.1), fingerprint \(ours.0), is not among those in force")
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
        let client = try invocation.client()
        // With the fingerprint the client knows a lost response from a lost request, and we a second registration, which
        // would take the second place or be refused in words that nobody has published.
        let fingerprint = (try? Certificate(pem: file))?.fingerprint
        let active = try await client.certificates(of: id)
        if let present = active.first(where: { $0.fingerprint == fingerprint }) {
            invocation.console.note(
                "\(path) is registered already, as \(present.id) since \(present.createdAt.toTheSecond); nothing was changed"
            )
            show(present, invocation)
            return .done
        }
        guard active.count < CASlots.count else { throw CASlots.full(active) }
        show(try await client.addCertificate(file, to: id, fingerprint: fingerprint), invocation)
        return .done
    }

    static let revoke = SetupCommand(
        path: ["certs", "revoke"], operands: "ID", operandCount: 1...1,
        summary: "revoke a CA certificate: what it has signed is refused from then on",
        flags: common + [force, .yes],
        example:
            "setup certs revoke tcrt_01JmWq4ZxnBvR7tKpY2sLdH9 --api-url=https://api.anthropic.com --output=dir:/data"
    ) { invocation in
        let stored = try await invocation.stored()
        let tunnelID = try invocation.tunnelID(in: stored)
        let client = try invocation.client()
        let certificate = try await client.certificate(invocation.arguments.operands[0], of: tunnelID)
        let isLast = try await !client.certificates(of: tunnelID).contains { $0.id != certificate.id }
        if !certificate.isArchived, !invocation.arguments.has(force) {
            try checkIsNotInUse(certificate, isLast: isLast, stored)
        }
        try await invocation.confirm(
            "Revoking \(certificate.fingerprint) cannot be undone"
                + (isLast ? "; it is the last one, and the tunnel refuses all traffic without" : ""),
            byTyping: certificate.id)
        show(try await client.archiveCertificate(certificate.id, of: tunnelID), invocation)
        return .done
    }

    /// The proxy serves under the CA in the output. Without an output at least the last one is known to be needed.
    private static func checkIsNotInUse(
        _ certificate: TunnelCertificate, isLast: Bool, _ stored: (contents: StoreContents, location: String)?
    ) throws {
        let remedy = "put another CA in its place with setup rotate-ca, or say --force to stop the traffic"
        if let stored, ca(stored.contents)?.fingerprint == certificate.fingerprint {
            throw SetupError(
                .state, "\(certificate.id) is the CA in \(stored.location): without it the tunnel refuses the proxy",
                remedy: remedy)
        }
        guard isLast else { return }
        throw SetupError(
            .state, "\(certificate.id) is the tunnel's last CA: without it the tunnel refuses all traffic",
            remedy: remedy)
    }

    /// The CA of an output, if one is there that can be read.
    private static func ca(_ contents: StoreContents) -> Certificate? {
        contents[.caCertificate].flatMap { try? Certificate(pem: $0) }
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
    /// Whether it is the one in the output; `nil` where none was looked at.
    let isOurs: Bool?

    init(_ certificate: TunnelCertificate, isOurs: Bool? = nil) {
        self.isOurs = isOurs
        (id, tunnelId, fingerprint) = (certificate.id, certificate.tunnelID, certificate.fingerprint)
        createdAt = certificate.createdAt.toTheSecond
        expiresAt = certificate.expiresAt?.toTheSecond
        archivedAt = certificate.archivedAt?.toTheSecond
    }
}
