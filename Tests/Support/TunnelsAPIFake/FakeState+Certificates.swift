import TunnelPKI

extension FakeState {
    mutating func addCertificate(to tunnel: FakeTunnel, _ call: FakeCall) throws(FakeError) -> FakeJSON {
        let members = try call.bodyMembers(only: ["ca_certificate_pem"])
        guard let member = members["ca_certificate_pem"] else { throw .invalid("ca_certificate_pem: Field required") }
        guard let pem = member.text else { throw .invalid("ca_certificate_pem: Input should be a valid string") }
        guard tunnel.archivedAt == nil else { throw .invalid("The tunnel is archived") }
        let certificate = try FakeState.check(pem, now: call.nowSeconds)
        let active = world.certificates.filter { $0.tunnelID == tunnel.id && $0.archivedAt == nil }
        guard !active.contains(where: { $0.fingerprint == certificate.fingerprint }) else {
            throw FakeError(409, "The tunnel already has this certificate")
        }
        guard active.count < FakeState.maxCertificates else {
            throw .invalid("Tunnel already has the maximum of 2 non-archived certificates")
        }
        let added = FakeCertificate(
            id: "tcrt_01" + FakeState.randomText(22), tunnelID: tunnel.id, fingerprint: certificate.fingerprint,
            createdAt: call.now, expiresAt: certificate.notAfter * 1_000_000, pem: pem, sequence: nextSequence())
        world.certificates.append(added)
        note(event(.certificateAdded, added, call))
        return added.json
    }

    /// The published requirements on a CA certificate, point by point.
    private static func check(_ pem: String, now: Int64) throws(FakeError) -> Certificate {
        let file = Array(pem.utf8)
        let findings = CertificateRequirements(now: now).checkCA(file: file).filter { $0.severity == .error }
        // The words of others' reimplementations where there are some, the finding's own for the rest.
        let rules: [(Finding.Rule, String)] = [
            (.noPrivateKey, "must not contain private-key material"),
            (.size, "must have at most 8192 bytes"),
            (.singleCertificate, "must contain exactly one certificate"),
            (.pem, "must contain a valid X.509 certificate"),
        ]
        for (rule, text) in rules where findings.contains(where: { $0.rule == rule }) {
            throw .invalid("ca_certificate_pem \(text)")
        }
        if let finding = findings.first {
            throw .invalid("ca_certificate_pem: \(finding.found); required: \(finding.rule.requirement)")
        }
        guard let certificate = try? Certificate(pem: file) else {
            throw .invalid("ca_certificate_pem must contain a valid X.509 certificate")
        }
        return certificate
    }

    func listCertificates(
        of tunnel: FakeTunnel, _ caller: FakeCall.Caller, _ query: FakeQuery
    ) throws(FakeError) -> FakeJSON {
        var certificates = world.certificates.filter { $0.tunnelID == tunnel.id }
        if try !query.flag("include_archived") { certificates.removeAll { $0.archivedAt != nil } }
        let items = certificates.map { (sequence: $0.sequence, json: $0.json) }
        // The first generation takes the parameters, but has one page only.
        return try query.page(of: items, kind: tunnel.id, isWhole: caller.generation == .first)
    }

    func certificateIndex(_ id: String, of tunnelID: String) throws(FakeError) -> Int {
        let index = world.certificates.firstIndex { $0.id == id && $0.tunnelID == tunnelID }
        guard let index else { throw .notFound }
        return index
    }

    /// The record stays; the last one may go too. Again is the same as once.
    mutating func archiveCertificate(_ index: Int, _ call: FakeCall) -> FakeCertificate {
        guard world.certificates[index].archivedAt == nil else { return world.certificates[index] }
        world.certificates[index].archivedAt = call.now
        note(event(.certificateRevoked, world.certificates[index], call))
        return world.certificates[index]
    }

    private func event(
        _ kind: FakeAuditEvent.Kind, _ certificate: FakeCertificate, _ call: FakeCall
    ) -> FakeAuditEvent {
        var event = FakeAuditEvent(kind, at: call.now, tunnelID: certificate.tunnelID)
        (event.certificateID, event.fingerprint) = (certificate.id, certificate.fingerprint)
        return event
    }
}
