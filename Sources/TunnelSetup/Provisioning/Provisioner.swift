public import TunnelAPI
internal import TunnelCore
internal import TunnelPKI

/// `setup init`: makes a store hold everything that a tunnel's stack needs.
///
/// Idempotent. Each step that changes something outside is announced in the store before it is taken, so that a run which
/// is cut off anywhere can be run again: it never creates a second tunnel, never takes a CA for registered that is not,
/// and never loses a token. What the stack reads changes in one step at the end.
public struct Provisioner: Sendable {
    private let client: TunnelsClient
    private let store: any CredentialStore
    private let options: ProvisioningOptions
    private let context: SetupContext

    public init(
        client: TunnelsClient, store: any CredentialStore, options: ProvisioningOptions,
        context: SetupContext
    ) {
        (self.client, self.store, self.options, self.context) = (client, store, options, context)
    }

    // MARK: Dry run

    /// What ``Provisioner/run()`` would do, in words.
    public struct Plan: Sendable {
        /// One for each part.
        public let steps: [String]
        /// What the operator should know.
        public let notes: [String]
    }

    /// Asks the API for what can be read without a trace, and changes nothing.
    public func plan() async throws(SetupError) -> Plan {
        try options.check()
        let bench = try await Workbench(store)
        _ = try await api { () throws(APIError) in try await client.authenticate() }
        let plan = try await makePlan(bench, try await observe(bench))
        return Plan(steps: plan.lines, notes: plan.warnings)
    }

    // MARK: Run

    public func run() async throws(SetupError) -> ProvisioningResult {
        try options.check()
        return try await Overtaken.retry(at: store.location, context, runOnce)
    }

    private func runOnce() async throws(SetupError) -> ProvisioningResult {
        var bench = try await Workbench(store)
        // The longest step by far, where a key is needed; it takes its time while the network is waited for.
        let early =
            bench.contents[.serverKey] == nil
            ? PendingKey(options.serverCertificate.keyType(replacing: bench.contents)) : nil
        let generation = try await api { () throws(APIError) in try await client.authenticate() }
        context.report("authenticated, API generation \(generation.rawValue)")

        var observation = try await observe(bench)
        var plan = try await makePlan(bench, observation)
        var action: ProvisioningResult.TunnelAction?
        if case .create(let name, _) = plan.tunnel {
            let tunnel: Tunnel
            (tunnel, action) = try await TunnelCreation(client: client, context: context).run(name, &bench)
            observation = try await observe(tunnel)
            plan = try await makePlan(bench, observation)
        }
        guard let tunnel = observation?.tunnel else { throw .unreachable }
        switch plan.tunnel {
        case .reuse where action == nil: context.report("tunnel \(tunnel.id) (\(tunnel.domain)), as stored")
        case .attach where action == nil: context.report("tunnel \(tunnel.id) (\(tunnel.domain)), attached")
        default: break
        }
        if action == nil { action = if case .reuse = plan.tunnel { .reused } else { .attached } }
        for warning in plan.warnings { context.report("note: \(warning)") }

        let ca = try await takeCA(plan, tunnel, &bench)
        let token = try await takeToken(plan.token, tunnel, &bench)
        let identity = try await takeServerIdentity(plan.serverCertificate, ca.stored, tunnel, bench, early)
        return try await commit(tunnel, action ?? .reused, ca, token, identity, generation, &bench)
    }

    // MARK: Looking

    private func observe(_ bench: Workbench) async throws(SetupError) -> ProvisioningPlan.Observation? {
        // A CA that an earlier run announced names the tunnel that the run was given.
        let id =
            options.tunnelID ?? bench.contents.text(.tunnelID) ?? bench.state.createdTunnelID
            ?? bench.state.ca?.tunnelID
        if let id { return try await observe(try await api { () throws(APIError) in try await client.tunnel(id) }) }
        // Certificates that were made by hand belong to a tunnel, although nobody wrote its id down.
        guard let domain = bench.contents.text(.tunnelDomain) else { return nil }
        let tunnels = try await api { () throws(APIError) in try await client.tunnels() }
        guard let tunnel = tunnels.first(where: { $0.domain == domain.lowercased() }) else {
            let name = bench.contents.name(.tunnelDomain) ?? "another tunnel"
            throw SetupError(
                .state, "\(store.location) holds certificates for \(name), and there is no tunnel of that domain",
                remedy: "name the tunnel with --tunnel-id, or use another output for a new one")
        }
        return try await observe(tunnel)
    }

    private func observe(_ tunnel: Tunnel) async throws(SetupError) -> ProvisioningPlan.Observation {
        let certificates = try await api { () throws(APIError) in
            try await client.certificates(of: tunnel.id, includeArchived: true)
        }
        return ProvisioningPlan.Observation(tunnel: tunnel, certificates: certificates)
    }

    private func makePlan(
        _ bench: Workbench, _ observation: ProvisioningPlan.Observation?
    ) async throws(SetupError) -> ProvisioningPlan {
        if observation == nil, try await api({ () throws(APIError) in try await client.authenticate() }) == .first {
            throw SetupError(
                .state, "no tunnel is named or stored, and generation 1 of the API cannot create one",
                remedy:
                    "create a tunnel in the Console and name it with --tunnel-id or TUNNEL_ID; or give the federation "
                    + "rule the scope workspace:manage_tunnels, which is generation 2")
        }
        return try ProvisioningPlan.make(
            contents: bench.contents, state: bench.state, options: options, observation: observation,
            newName: context.newDisplayName(), now: context.now().seconds)
    }

    private func api<Value>(_ call: () async throws(APIError) -> Value) async throws(SetupError) -> Value {
        do throws(APIError) { return try await call() } catch { throw SetupError(error) }
    }

    // MARK: CA

    private struct RegisteredCA {
        let stored: StoredCA
        let id: String
        let action: ProvisioningResult.CAAction
    }

    private func takeCA(
        _ plan: ProvisioningPlan, _ tunnel: Tunnel, _ bench: inout Workbench
    ) async throws(SetupError) -> RegisteredCA {
        let registration = CARegistration(client: client, context: context, tunnelID: tunnel.id)
        switch (plan.ca, plan.stored) {
        case (.reuse(let id), let stored?):
            context.report("CA \(stored.certificate.fingerprint), registered as \(id)")
            return RegisteredCA(stored: stored, id: id, action: .reused)
        case (.adopt(let id), let stored?):
            context.report("CA \(stored.certificate.fingerprint), registered as \(id) by an earlier run")
            return RegisteredCA(stored: stored, id: id, action: .registered)
        case (.register, let stored?):
            let certificate = try await registration.register(stored.certificate)
            return RegisteredCA(stored: stored, id: certificate.id, action: .registered)
        default:
            let stored = try await registration.prepare(&bench)
            let certificate = try await registration.register(stored.certificate)
            return RegisteredCA(stored: stored, id: certificate.id, action: .generated)
        }
    }

    // MARK: Token

    private struct TakenToken {
        /// `nil` where the stored one stays.
        var value: Secret?
        var action = ProvisioningResult.TokenAction.kept
        /// To be stored; `nil` leaves what is there.
        var version: String?
        /// Whether it is the token in force; `nil` where nobody could say.
        var isCurrent: Bool? = true
    }

    private func takeToken(
        _ step: ProvisioningPlan.TokenStep, _ tunnel: Tunnel, _ bench: inout Workbench
    ) async throws(SetupError) -> TakenToken {
        switch step {
        case .keep:
            context.report("tunnel token, as stored\(options.tokenVersion.map { " (version \($0))" } ?? "")")
            return TakenToken(isCurrent: await isCurrent(tunnel, bench))
        case .record(let version):
            context.report("tunnel token, as stored; it is version \(version) from now on")
            return TakenToken(version: version, isCurrent: await isCurrent(tunnel, bench))
        case .refresh(let version):
            let token = try await api { () throws(APIError) in try await client.revealToken(of: tunnel.id) }
            let isNew = token.value.reveal() != bench.contents.text(.tunnelToken)
            context.report(
                isNew
                    ? "tunnel token fetched (\(token.id)), another than the stored one; restart cloudflared with it"
                    : "tunnel token fetched (\(token.id)), the same as the stored one")
            return TakenToken(
                value: isNew ? token.value : nil, action: isNew ? .revealed : .kept, version: version)
        case .reveal:
            let token = try await api { () throws(APIError) in try await client.revealToken(of: tunnel.id) }
            context.report("tunnel token fetched (\(token.id))")
            return TakenToken(value: token.value, action: .revealed, version: options.tokenVersion)
        case .rotate(let version, let isResumed):
            let token = try await TokenRotation(client: client, context: context, tunnelID: tunnel.id)
                .run(version: version, reason: "setup: token version \(version)", isResumed: isResumed, &bench)
            return TakenToken(value: token.value, action: .rotated, version: version)
        }
    }

    /// Whether the stored token is the one in force. The API tells the tokens apart only by showing the one that is.
    private func isCurrent(_ tunnel: Tunnel, _ bench: Workbench) async -> Bool? {
        do throws(APIError) {
            let token = try await client.revealToken(of: tunnel.id)
            guard token.value.reveal() != bench.contents.text(.tunnelToken) else { return true }
            context.report("note: \(StoredTunnel.outdatedNote(at: store.location, token.id))")
            return false
        } catch {
            context.report("note: the stored tunnel token could not be compared with the one in force: \(error.reason)")
            return nil
        }
    }

    // MARK: Server certificate

    private struct ServerFiles {
        let certificate: [UInt8]
        /// `nil` where the stored pair stays.
        let issued: IssuedCertificate?
    }

    private func takeServerIdentity(
        _ step: ProvisioningPlan.ServerCertificateStep, _ ca: StoredCA, _ tunnel: Tunnel,
        _ bench: Workbench, _ early: PendingKey?
    ) async throws(SetupError) -> ServerFiles {
        switch step {
        case .keep:
            context.report("server certificate, as stored")
            return ServerFiles(certificate: bench.contents[.serverCertificate] ?? [], issued: nil)
        case .issue(let type, let reason):
            let issuer = ServerCertificateIssue(ca: ca, domain: tunnel.domain, context: context)
            let issued = try await issuer.run(
                key: early, type: type, validity: options.serverCertificate.validity,
                reason: reason)
            return ServerFiles(certificate: issued.identity.certificate.pem, issued: issued)
        }
    }

    // MARK: Commit

    private func commit(
        _ tunnel: Tunnel, _ action: ProvisioningResult.TunnelAction, _ ca: RegisteredCA,
        _ token: TakenToken, _ server: ServerFiles, _ generation: APIGeneration, _ bench: inout Workbench
    ) async throws(SetupError) -> ProvisioningResult {
        var changes = StoreChanges()
        let before = bench.contents
        let isOther = before.text(.tunnelID).map { $0 != tunnel.id } ?? false
        changes.set(.tunnelID, tunnel.id, over: before)
        changes.set(.tunnelDomain, tunnel.domain, over: before)
        if options.dropsOldCA { OldCA.drop(in: &changes, from: before) }
        if isOther { OldCA.setAside(before, in: &changes) }
        if ca.action != .reused { ca.stored.record(in: &changes) }
        if let value = token.value { changes.set(.tunnelToken, value.reveal()) }
        if let version = token.version {
            changes.set(.tokenVersion, version, over: before)
        } else if isOther {
            changes.remove(.tokenVersion)
        }
        if let issued = server.issued { try issued.identity.record(in: &changes) }
        let ticketKeys = try SharedTicketKeys.provide(before, in: &changes, replacing: isOther, context)
        try await bench.save(changes) { state in
            (state.creation, state.createdTunnelID, state.tokenRotation) = (nil, nil, nil)
            if isOther { state.previousCA = nil }
            if ca.action != .reused { state.ca = nil }
        }
        if let issued = server.issued { context.report(issued.report) }
        if let report = ticketKeys.report { context.report(report) }
        let certificates: [Certificate]
        do throws(PKIError) { certificates = try Certificate.all(pem: server.certificate) } catch {
            throw SetupError(error, "\(StoreKey.serverCertificate)", remedy: "run setup renew-cert")
        }
        guard let certificate = certificates.first else { throw .unreachable }
        let version = bench.contents.text(.tokenVersion)
        return ProvisioningResult(
            tunnel: tunnel, tunnelAction: action, ca: ca.stored.certificate, caID: ca.id,
            caAction: ca.action, tokenAction: token.action, tokenVersion: version,
            isTokenCurrent: token.isCurrent, serverCertificate: certificate,
            serverCertificateAction: server.issued == nil ? .kept : .issued,
            ticketKeys: ticketKeys, generation: generation, isVersionRecorded: version != before.text(.tokenVersion),
            isOldCADropped: before[.oldTunnelID] != nil && bench.contents[.oldTunnelID] == nil)
    }
}
