internal import TunnelAPI
internal import TunnelCore
internal import TunnelPKI

/// Everything that is decided before anything is done: from what is stored, what the API says and what is wanted, to
/// one choice for each part. Pure, so that a dry run and the real run cannot differ.
struct ProvisioningPlan {
    enum TunnelStep: Equatable {
        case reuse(Tunnel)
        case attach(Tunnel)
        /// Look for the one that an earlier run may have created before creating one.
        case create(displayName: String, isResumed: Bool)
    }
    enum CAStep: Equatable {
        case reuse(certificateID: String)
        /// Already registered; only the store does not have it in its place yet.
        case adopt(certificateID: String)
        case register
        case generate
    }
    enum TokenStep: Equatable {
        case keep
        case record(version: String)
        case reveal
        /// Fetch the one in force, whatever is stored.
        case refresh(version: String?)
        case rotate(version: String, isResumed: Bool)
    }
    enum ServerCertificateStep: Equatable {
        case keep
        case issue(KeyType, reason: String)
    }

    /// What the API says of the tunnel that is wanted.
    struct Observation {
        let tunnel: Tunnel
        /// The archived ones too.
        let certificates: [TunnelCertificate]
    }

    var tunnel: TunnelStep
    var ca: CAStep
    /// The CA for ``CAStep/reuse(certificateID:)``, `adopt` and `register`.
    var stored: StoredCA?
    var token: TokenStep
    var serverCertificate: ServerCertificateStep
    /// Whether keys for session tickets have to be made.
    var makesTicketKeys: Bool
    /// Things that the operator should know.
    var warnings: [String] = []

    /// - Parameter observation: `nil` when a tunnel has to be created first.
    static func make(
        contents: StoreContents, state: SetupState, options: ProvisioningOptions, observation: Observation?,
        newName: String, now: Int64
    ) throws(SetupError) -> ProvisioningPlan {
        guard let observation else {
            let name = options.displayName ?? state.creation?.displayName ?? newName
            let found = try StoredCA.read(contents)
            return ProvisioningPlan(
                tunnel: .create(displayName: name, isResumed: state.creation != nil),
                ca: found == nil ? .generate : .register, stored: found, token: .reveal,
                serverCertificate: .issue(
                    options.serverCertificate.keyType(replacing: contents), reason: "a new tunnel"),
                makesTicketKeys: !SharedTicketKeys.areUsable(contents))
        }
        let tunnel = observation.tunnel
        guard !tunnel.isArchived else {
            throw SetupError(
                .state, "tunnel \(tunnel.id) is archived, which cannot be undone",
                remedy: "name another tunnel with --tunnel-id, or use an empty output to get a new one")
        }
        try StoredCA.check(domain: tunnel.domain)
        let storedID = contents.text(.tunnelID)
        let isSame = storedID == tunnel.id
        // Without a stored id the credentials were made by hand, or by a run that did not come to the end.
        let mayReuse = isSame || storedID == nil
        var plan = ProvisioningPlan(
            tunnel: isSame ? .reuse(tunnel) : .attach(tunnel), ca: .generate, stored: nil, token: .reveal,
            serverCertificate: .keep, makesTicketKeys: !mayReuse || !SharedTicketKeys.areUsable(contents))
        try plan.chooseCA(contents, state, observation, mayReuse: mayReuse, now: now)
        if isSame { plan.chooseToken(contents, state, options, tunnel) }
        if !mayReuse { try plan.warnings += OldCA.notes(contents, state, options, tunnel) }
        plan.chooseServerCertificate(contents, options, tunnel, now: now)
        // Nothing is begun that cannot be brought to its end.
        if case .issue = plan.serverCertificate { _ = try plan.stored?.signer(now: now) }
        if let creation = state.creation {
            plan.warnings.append(
                "an earlier run may have created a tunnel named \"\(creation.displayName)\" that is not used: look for it "
                    + "with setup tunnels list, and archive it")
        }
        if let created = state.createdTunnelID, created != tunnel.id {
            plan.warnings.append(
                "tunnel \(created), which an earlier run created, is not used: archive it with setup tunnels archive")
        }
        return plan
    }

    // MARK: CA

    private mutating func chooseCA(
        _ contents: StoreContents, _ state: SetupState, _ observation: Observation, mayReuse: Bool, now: Int64
    ) throws(SetupError) {
        let active = observation.certificates.filter { !$0.isArchived }
        if mayReuse, let found = try StoredCA.read(contents) {
            stored = found
            let findings = CertificateRequirements(now: now).checkCA(file: found.certificate.pem)
            let match = observation.certificates.filter { $0.fingerprint == found.certificate.fingerprint }
            if let registered = match.first(where: { !$0.isArchived }) {
                ca = .reuse(certificateID: registered.id)
                return
            }
            if let revoked = match.first {
                throw SetupError(
                    .state,
                    "the CA in the output was revoked on this tunnel (\(revoked.id), fingerprint \(revoked.fingerprint))",
                    remedy: "make a new one with setup rotate-ca")
            }
            guard !findings.hasErrors else {
                throw SetupError(
                    .certificate, "the CA in the output cannot be registered",
                    remedy: "make a new one with setup rotate-ca, or put another CA in its place", findings: findings)
            }
            ca = .register
        } else if !mayReuse, try chooseOldCA(contents, observation, now: now) {
            if case .adopt = ca { return }
        } else if let pending = state.ca, pending.tunnelID == observation.tunnel.id {
            if let (found, entry) = try StoredCA.resumable(pending, observation.certificates, now: now) {
                stored = found
                if let entry {
                    ca = .adopt(certificateID: entry.id)
                    return
                }
                ca = .register
            }
        } else if let pending = state.ca {
            warnings.append(CARegistration.droppedNote(pending))
        }
        try requireSlot(active)
    }

    /// Back at the tunnel that the store belonged to before: its CA was kept.
    private mutating func chooseOldCA(
        _ contents: StoreContents, _ observation: Observation, now: Int64
    ) throws(SetupError) -> Bool {
        guard let old = try OldCA.read(contents, of: observation.tunnel.id),
            !CertificateRequirements(now: now).checkCA(file: old.certificate.pem).hasErrors
        else { return false }
        let match = observation.certificates.filter { $0.fingerprint == old.certificate.fingerprint }
        if let registered = match.first(where: { !$0.isArchived }) {
            ca = .adopt(certificateID: registered.id)
        } else if match.isEmpty {
            ca = .register
        } else {
            return false
        }
        stored = old
        return true
    }

    /// A tunnel holds two active certificates.
    private func requireSlot(_ active: [TunnelCertificate]) throws(SetupError) {
        guard active.count >= CASlots.count else { return }
        throw CASlots.full(active)
    }

    // MARK: Token

    /// For the tunnel that is stored; of another one the token is fetched.
    private mutating func chooseToken(
        _ contents: StoreContents, _ state: SetupState, _ options: ProvisioningOptions, _ tunnel: Tunnel
    ) {
        let (stored, wanted) = (contents.text(.tokenVersion), options.tokenVersion)
        let hasToken = contents.text(.tunnelToken) != nil
        let begun = state.tokenRotation.flatMap { $0.tunnelID == tunnel.id ? $0 : nil }
        if let wanted, wanted != stored {
            if begun?.version == wanted {
                token = .rotate(version: wanted, isResumed: hasToken)
            } else if stored != nil || begun != nil {
                token = .rotate(version: wanted, isResumed: false)
            } else if hasToken {
                // The first version that is ever stored is the name of the token that is there.
                token = .record(version: wanted)
            }
        } else if let begun {
            // The stored token may be void. What nobody has called off is finished; else the one in force is fetched.
            if wanted == nil, let version = begun.version { token = .rotate(version: version, isResumed: hasToken) }
        } else if hasToken {
            token = .keep
        }
        guard options.refreshesToken else { return }
        switch token {
        case .keep: token = .refresh(version: nil)
        case .record(let version): token = .refresh(version: version)
        default: break
        }
    }

    // MARK: Server certificate

    private mutating func chooseServerCertificate(
        _ contents: StoreContents, _ options: ProvisioningOptions, _ tunnel: Tunnel, now: Int64
    ) {
        let type = options.serverCertificate.keyType(replacing: contents)
        guard let stored else {
            serverCertificate = .issue(type, reason: "a new CA")
            return
        }
        let findings = ServerIdentityCheck.findings(
            contents, ca: stored.certificate.pem, domain: tunnel.domain,
            requirements: CertificateRequirements(now: now))
        guard let findings else {
            serverCertificate = .issue(type, reason: "there is none")
            return
        }
        if let first = findings.first(where: { $0.severity == .error }) {
            serverCertificate = .issue(type, reason: first.found)
        }
    }
}

extension ProvisioningPlan {
    /// The plan in words, a line for each part.
    var lines: [String] {
        [tunnelLine, caLine, tokenLine, serverCertificateLine]
            + (makesTicketKeys ? ["make keys for session tickets"] : [])
    }

    private var tunnelLine: String {
        switch tunnel {
        case .reuse(let tunnel): "use the stored tunnel \(tunnel.id) (\(tunnel.domain))"
        case .attach(let tunnel): "attach to tunnel \(tunnel.id) (\(tunnel.domain))"
        case .create(let name, isResumed: false): "create a tunnel named \"\(name)\""
        case .create(let name, isResumed: true):
            "look for the tunnel that an earlier run meant to create, and create one named \"\(name)\" if it is not there"
        }
    }

    private var caLine: String {
        let fingerprint = stored?.certificate.fingerprint ?? "unknown"
        return switch ca {
        case .reuse(let id): "use the stored CA, registered as \(id) (fingerprint \(fingerprint))"
        case .adopt(let id): "use the CA that an earlier run registered as \(id) (fingerprint \(fingerprint))"
        case .register: "register the CA that is there (fingerprint \(fingerprint))"
        case .generate: "make a CA and register it"
        }
    }

    private var tokenLine: String {
        switch token {
        case .keep: "keep the stored tunnel token, and compare it with the one in force"
        case .record(let version):
            "keep the stored tunnel token, remember it as version \(version), and compare it with the one in force"
        case .reveal, .refresh: "fetch the tunnel token"
        case .rotate(let version, isResumed: false): "rotate the tunnel token to version \(version)"
        case .rotate(let version, isResumed: true):
            "finish the rotation of the tunnel token to version \(version) that an earlier run began"
        }
    }

    private var serverCertificateLine: String {
        switch serverCertificate {
        case .keep: "keep the stored server certificate"
        case .issue(let type, let reason): "issue a server certificate with a new key, \(type.rawValue) (\(reason))"
        }
    }
}
