public import TunnelAPI
internal import TunnelCore
public import TunnelPKI

/// `setup rotate-ca`: puts a new CA in the place of the registered one without a moment in which no certificate is good.
///
/// ``start()`` registers a new CA beside the old one and issues the server certificate from it; ``finish()`` revokes the old
/// one, when the operator has seen traffic with the new. Both can be run again after a crash.
public struct CARotation: Sendable {
    private let client: TunnelsClient
    private let store: any CredentialStore
    private let options: ServerCertificateOptions
    private let context: SetupContext

    public init(
        client: TunnelsClient, store: any CredentialStore,
        options: ServerCertificateOptions = ServerCertificateOptions(), context: SetupContext
    ) {
        (self.client, self.store, self.options, self.context) = (client, store, options, context)
    }

    /// Where the rotation stands. Holds no secret.
    public struct Result: Sendable {
        @nonexhaustive
        public enum Stage: String, Sendable {
            /// The new CA is in use; the old one waits to be revoked.
            case waitingToFinish = "waiting-to-finish"
            /// Only the new CA is left of the two.
            case finished
            /// There was nothing to finish.
            case nothingToFinish = "nothing-to-finish"
        }
        public let stage: Stage
        /// The CA in use.
        public let ca: Certificate
        /// The API's name for it; `nil` if it was not asked.
        public let caID: String?
        /// The API's name for the old CA, if one was or is still to be revoked.
        public let previousID: String?
        /// What is left to do, in words.
        public let next: String?
    }

    // MARK: Start

    /// Begins anew where another run gets ahead of it, as ``Provisioner/run()`` does.
    public func start() async throws(SetupError) -> Result {
        try await Overtaken.retry(at: store.location, context, startOnce)
    }

    private func startOnce() async throws(SetupError) -> Result {
        var bench = try await Workbench(store)
        let (tunnelID, domain) = try identity(bench)
        let current = try StoredCA.read(bench.contents)
        let certificates = try await list(tunnelID)
        let active = certificates.filter { !$0.isArchived }
        let old = active.first { $0.fingerprint == current?.certificate.fingerprint }
        let waitingFor = bench.state.previousCA.flatMap { $0.tunnelID == tunnelID ? $0 : nil }
        let isStillActive = active.contains { $0.id == waitingFor?.certificateID }
        if let waitingFor, let current, let old, old.id != waitingFor.certificateID {
            guard isStillActive else { return try await finished(current, old.id, waitingFor, &bench) }
            context.report("the CA was changed already; the old one, \(waitingFor.certificateID), is still registered")
            return waiting(current.certificate, old.id, waitingFor)
        }

        let registration = CARegistration(client: client, context: context, tunnelID: tunnelID)
        let (ca, id) = try await takeNew(registration, certificates, active, old, &bench)
        let issue = ServerCertificateIssue(ca: ca, domain: domain, context: context)
        let server = try await issue.run(
            key: nil, type: options.keyType(replacing: bench.contents), validity: options.validity, reason: "a new CA")

        var changes = StoreChanges()
        ca.record(in: &changes)
        try server.identity.record(in: &changes)
        let previous =
            old.map {
                SetupState.PreviousCA(tunnelID: tunnelID, certificateID: $0.id, fingerprint: $0.fingerprint)
            } ?? (isStillActive ? waitingFor : nil)
        try await bench.save(changes) { state in
            state.ca = nil
            state.previousCA = previous
        }
        context.report(server.report)
        context.report("new CA and server certificate are in \(store.location)")
        guard let previous else {
            context.report("the CA before was not registered, so none is left to revoke")
            return Result(
                stage: .finished, ca: ca.certificate, caID: id, previousID: nil, next: nil)
        }
        return waiting(ca.certificate, id, previous)
    }

    /// The new CA, registered: the one that an earlier run had begun with, or one that is made now.
    private func takeNew(
        _ registration: CARegistration, _ certificates: [TunnelCertificate], _ active: [TunnelCertificate],
        _ old: TunnelCertificate?, _ bench: inout Workbench
    ) async throws(SetupError) -> (StoredCA, String) {
        if let pending = bench.state.ca, pending.tunnelID == registration.tunnelID,
            let (ca, entry) = try StoredCA.resumable(pending, certificates, now: context.now().seconds)
        {
            if let entry {
                context.report("new CA \(entry.fingerprint), registered as \(entry.id) by an earlier run")
                return (ca, entry.id)
            }
            try requireSlot(active, old)
            return (ca, try await registration.register(ca.certificate).id)
        }
        try requireSlot(active, old)
        let ca = try await registration.prepare(&bench)
        return (ca, try await registration.register(ca.certificate).id)
    }

    private func requireSlot(_ active: [TunnelCertificate], _ old: TunnelCertificate?) throws(SetupError) {
        guard active.count >= CASlots.count else { return }
        let full = CASlots.full(active)
        guard old == nil else { throw full }
        throw SetupError(
            .state,
            "both CA slots of the tunnel hold certificates that are not the one in \(store.location). \(full.reason)",
            remedy: full.remedy)
    }

    private func waiting(
        _ ca: Certificate, _ id: String?, _ previous: SetupState.PreviousCA
    ) -> Result {
        let next =
            "copy tls.crt and tls.key to every replica, see traffic with the new certificate, then revoke the old CA "
            + "(\(previous.certificateID)) with setup rotate-ca --finish"
        context.report("left to do: \(next)")
        return Result(
            stage: .waitingToFinish, ca: ca, caID: id, previousID: previous.certificateID,
            next: next)
    }

    // MARK: Finish

    public func finish() async throws(SetupError) -> Result {
        try await Overtaken.retry(at: store.location, context, finishOnce)
    }

    private func finishOnce() async throws(SetupError) -> Result {
        var bench = try await Workbench(store)
        let (tunnelID, domain) = try identity(bench)
        guard let current = try StoredCA.read(bench.contents) else {
            throw SetupError(
                .state, "\(store.location) has no \(StoreKey.caCertificate)", remedy: "run setup init")
        }
        guard let previous = bench.state.previousCA, previous.tunnelID == tunnelID else {
            if bench.state.ca?.tunnelID == tunnelID {
                throw SetupError(
                    .state, "the change of the CA was begun and did not come to the new certificate",
                    remedy: "run setup rotate-ca without --finish; it goes on where it was")
            }
            context.report("no change of the CA is under way")
            return Result(
                stage: .nothingToFinish, ca: current.certificate, caID: nil, previousID: nil, next: nil)
        }
        let certificates = try await list(tunnelID)
        let registered = certificates.first {
            $0.fingerprint == current.certificate.fingerprint && !$0.isArchived
        }
        guard let registered, registered.id != previous.certificateID else {
            guard registered == nil else {
                throw SetupError(
                    .state,
                    "the CA that is to be revoked, \(previous.certificateID), is the one in \(store.location)",
                    remedy: "run setup rotate-ca without --finish for a new one")
            }
            throw SetupError(
                .state,
                "the CA in \(store.location) is not registered on the tunnel, so revoking \(previous.certificateID) would "
                    + "cut it off",
                remedy: "run setup rotate-ca without --finish for another")
        }
        let findings = ServerIdentityCheck.findings(
            bench.contents, ca: current.certificate.pem, domain: domain,
            requirements: CertificateRequirements(now: context.now().seconds))
        guard let findings, !findings.hasErrors else {
            throw SetupError(
                .certificate, "the server certificate in \(store.location) is not good under the new CA",
                remedy: "run setup renew-cert first", findings: findings ?? [])
        }
        if certificates.contains(where: { $0.id == previous.certificateID && !$0.isArchived }) {
            do throws(APIError) {
                _ = try await client.archiveCertificate(previous.certificateID, of: tunnelID)
            } catch { throw SetupError(error) }
            context.report("old CA \(previous.certificateID) revoked")
            try await bench.save { $0.previousCA = nil }
            return Result(
                stage: .finished, ca: current.certificate, caID: registered.id,
                previousID: previous.certificateID, next: nil)
        }
        return try await finished(current, registered.id, previous, &bench)
    }

    /// Somebody has revoked the old CA already.
    private func finished(
        _ current: StoredCA, _ id: String, _ previous: SetupState.PreviousCA, _ bench: inout Workbench
    ) async throws(SetupError) -> Result {
        context.report("old CA \(previous.certificateID) was revoked already; the change of the CA is finished")
        try await bench.save { $0.previousCA = nil }
        return Result(
            stage: .finished, ca: current.certificate, caID: id, previousID: previous.certificateID,
            next: nil)
    }

    // MARK: Common

    private func identity(_ bench: Workbench) throws(SetupError) -> (tunnelID: String, domain: String) {
        guard let id = bench.contents.text(.tunnelID), let domain = bench.contents.text(.tunnelDomain) else {
            throw SetupError(.state, "\(store.location) holds no tunnel", remedy: "run setup init first")
        }
        try StoredCA.check(domain: domain)
        return (id, domain)
    }

    private func list(_ tunnelID: String) async throws(SetupError) -> [TunnelCertificate] {
        do throws(APIError) { return try await client.certificates(of: tunnelID, includeArchived: true) } catch {
            throw SetupError(error)
        }
    }
}
