internal import TunnelAPI
internal import TunnelCore

/// Creates a tunnel at most once, although the API has no way to ask for that.
///
/// The store is told first: under which name, and which tunnels of that name there are. Whoever finds that note, this run
/// after a lost answer or the next one after a crash, looks for a tunnel of the name that is not among them, and takes it.
struct TunnelCreation {
    let client: TunnelsClient
    let context: SetupContext

    /// How long a run that is not locked out may still be on its way from note to tunnel: the client's time-out for
    /// the request, and some for a busy machine.
    static let claimLifetime: Int64 = 75
    /// How many seconds to wait before looking again how far the other run has come.
    static let lookAgain: Int64 = 2

    func run(
        _ displayName: String, _ bench: inout Workbench
    ) async throws(SetupError) -> (Tunnel, ProvisioningResult.TunnelAction) {
        if let note = bench.state.creation {
            try await outwait(note, bench)
            if let tunnel = try await find(note) { return (try await take(tunnel, &bench), .recovered) }
            context.tell("an earlier run meant to create tunnel \"\(note.displayName)\" and did not")
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
            context.tell("no answer to the creation of tunnel \"\(displayName)\"; looking whether it was made")
            if let found = try? await find(note) { return (try await take(found, &bench), .recovered) }
            throw SetupError(
                .api, error.reason, remedy: "run again: it looks for that tunnel before it creates another",
                requestID: error.requestID, isTemporary: true)
        }
        context.tell("tunnel \(tunnel.id) (\(tunnel.domain)) created as \"\(displayName)\"")
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
                remedy: "mend that and run again, if need be with --tunnel-id=\(tunnel.id). \(error.remedy)")
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
        if let found = candidates.first {
            context.tell("tunnel \(found.id) (\(found.domain)) had been created by an earlier run")
        }
        return candidates.first
    }

    private func tunnels(named name: String) async throws(SetupError) -> [Tunnel] {
        do throws(APIError) { return try await client.tunnels().filter { $0.displayName == name } } catch {
            throw SetupError(error)
        }
    }

    /// Where two runs can be at work at once, the other one may be about to create the tunnel right now.
    private func outwait(_ note: SetupState.Creation, _ bench: Workbench) async throws(SetupError) {
        guard !bench.store.isExclusive else { return }
        var rest = min(note.startedAt + Self.claimLifetime - context.now().seconds, Self.claimLifetime)
        guard rest > 0 else { return }
        context.tell("another run may be creating the tunnel; waiting at most \(rest) s for it")
        while rest > 0 {
            let pause = min(rest, Self.lookAgain)
            await context.pause(.seconds(pause))
            rest -= pause
            let now: Workbench = try await Workbench(bench.store)
            guard now.state.creation == note else {
                throw SetupError(
                    .output, "\(bench.store.location): another run of setup is at work",
                    remedy: "run again when it is done",
                    isTemporary: true, isOvertaken: true)
            }
        }
    }
}
