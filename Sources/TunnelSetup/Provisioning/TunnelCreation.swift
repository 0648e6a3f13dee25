internal import TunnelAPI
internal import TunnelCore

/// Creates a tunnel at most once, although the API has no way to ask for that.
///
/// First a note goes to the store: the name, and which tunnels of that name there are. Whoever finds that note, this run
/// after a lost response or the next one after a crash, looks for a tunnel of the name that is not among them, and takes it.
struct TunnelCreation {
    let client: TunnelsClient
    let context: SetupContext

    /// How long after the note a tunnel may still come into being: the client's time-out for the request, and some for a
    /// busy machine.
    static let claimLifetime: Int64 = 75
    /// How long to wait for the tunnel of a run that has ended: the API may still be making it.
    static let settlingTime: Int64 = 10
    /// How many seconds to wait before looking again.
    static let lookAgain: Int64 = 2

    func run(
        _ displayName: String, _ bench: inout Workbench
    ) async throws(SetupError) -> (Tunnel, ProvisioningResult.TunnelAction) {
        if let note = bench.state.creation {
            if let tunnel = try await find(afterWaiting: note, bench) {
                return (try await take(tunnel, &bench), .recovered)
            }
            context.report("an earlier run meant to create tunnel \"\(note.displayName)\" and did not")
        }
        let note = SetupState.Creation(
            displayName: displayName, known: try await tunnels(named: displayName).map(\.id),
            startedAt: context.now().seconds)
        try await bench.save { $0.creation = note }
        let tunnel: Tunnel
        do throws(APIError) { tunnel = try await client.createTunnel(displayName: displayName) } catch {
            guard error.mayHaveBeenActedOn else {
                try await bench.save { $0.creation = nil }
                throw SetupError(error)
            }
            context.report("no response to the creation of tunnel \"\(displayName)\"; looking whether it was made")
            if let found = try? await find(note) { return (try await take(found, &bench), .recovered) }
            throw SetupError(
                .api, error.reason, remedy: "run again: it looks for that tunnel before it creates another",
                requestID: error.requestID, isTemporary: true)
        }
        context.report("tunnel \(tunnel.id) (\(tunnel.domain)) created as \"\(displayName)\"")
        return (try await take(tunnel, &bench), .created)
    }

    /// Writes the id down before anything else can fail.
    private func take(_ tunnel: Tunnel, _ bench: inout Workbench) async throws(SetupError) -> Tunnel {
        var changes = StoreChanges()
        let isFresh = bench.contents.keys.allSatisfy { $0 == .setupState }
        if isFresh {
            changes.set(.tunnelID, tunnel.id)
            changes.set(.tunnelDomain, tunnel.domain)
        }
        do {
            try await bench.save(changes) { state in
                state.creation = nil
                state.createdTunnelID = isFresh ? nil : tunnel.id
            }
        } catch {
            throw SetupError(
                error.hop,
                "tunnel \(tunnel.id) (\(tunnel.domain)) was created, and could not be written down: \(error.reason)",
                remedy: "mend that and run again, if need be with --tunnel-id=\(tunnel.id). \(error.remedy)",
                isTemporary: error.isTemporary, isOvertaken: error.isOvertaken)
        }
        return tunnel
    }

    private func find(_ note: SetupState.Creation) async throws(SetupError) -> Tunnel? {
        let candidates = try await tunnels(named: note.displayName).filter { !note.known.contains($0.id) }
        guard candidates.count <= 1 else {
            throw SetupError(
                .state,
                "several tunnels are named \"\(note.displayName)\": \(candidates.map(\.id).joined(separator: ", "))",
                remedy: "choose one with --tunnel-id, and archive those that nobody uses")
        }
        guard let found = candidates.first else { return nil }
        let certificates: [TunnelCertificate]
        do throws(APIError) {
            certificates = try await client.certificates(of: found.id, includeArchived: true)
        } catch { throw SetupError(error) }
        guard certificates.isEmpty else {
            throw SetupError(
                .state,
                "tunnel \(found.id), named \"\(note.displayName)\", has a CA certificate already, which the one that an "
                    + "earlier run meant to create cannot have",
                remedy: "if it is yours, name it with --tunnel-id; or else remove \(StoreKey.setupState) from the "
                    + "output, and run again with another --display-name")
        }
        context.report("tunnel \(found.id) (\(found.domain)) had been created by an earlier run")
        return found
    }

    private func tunnels(named name: String) async throws(SetupError) -> [Tunnel] {
        do throws(APIError) { return try await client.tunnels().filter { $0.displayName == name } } catch {
            throw SetupError(error)
        }
    }

    /// The tunnel of the note, which may be in the making right now: by another run, where none is locked out, or by the
    /// API for a run that was cut off.
    private func find(
        afterWaiting note: SetupState.Creation, _ bench: Workbench
    ) async throws(SetupError) -> Tunnel? {
        let isExclusive = bench.store.isExclusive
        if isExclusive, let tunnel = try await find(note) { return tunnel }
        let longest = isExclusive ? Self.settlingTime : Self.claimLifetime
        var rest = min(note.secondsLeft(of: Self.claimLifetime, now: context.now().seconds), longest)
        if rest > 0 { context.report("an earlier run may be creating the tunnel; waiting at most \(rest) s for it") }
        while rest > 0 {
            let pause = min(rest, Self.lookAgain)
            await context.pause(.seconds(pause))
            rest -= pause
            if isExclusive {
                if let tunnel = try await find(note) { return tunnel }
            } else {
                try await checkIsOurs(note, bench)
            }
        }
        return isExclusive ? nil : try await find(note)
    }

    /// Nobody else has gone on with the work meanwhile.
    private func checkIsOurs(_ note: SetupState.Creation, _ bench: Workbench) async throws(SetupError) {
        let now = try await Workbench(bench.store)
        guard now.state.creation != note else { return }
        throw SetupError(
            .output, "\(bench.store.location): another run of setup is at work", remedy: "run again when it is done",
            isTemporary: true, isOvertaken: true)
    }
}
