import Synchronization
import Testing
import TunnelAPI
import TunnelCore
import TunnelPKI
import TunnelsAPIFake

@testable import TunnelSetup

/// A run that is cut off anywhere, and the next one after it.
@Suite struct ProvisionerCrashTests {
    enum Scenario: String, CaseIterable, Sendable {
        case create, attach, rotateToken, changeTunnel
    }
    struct Cut: Sendable, CustomTestStringConvertible {
        let scenario: Scenario
        let write: Int
        let moment: MemoryStore.Crash.Moment
        var testDescription: String { "\(scenario.rawValue), write \(write), \(moment)" }
    }
    /// More writes than any scenario has; ``everyWriteIsCut`` sees to that.
    static let maxWrites = 6
    static let cuts: [Cut] = Scenario.allCases.flatMap { scenario in
        (0..<maxWrites).flatMap { write in
            [.beforeWrite, .afterWrite].map { Cut(scenario: scenario, write: write, moment: $0) }
        }
    }

    /// What was there before, and what is run.
    private func prepare(_ scenario: Scenario, _ bench: Bench) async throws -> ProvisioningOptions {
        switch scenario {
        case .create: return Bench.options(version: "1")
        case .attach: return Bench.options(tunnelID: bench.api.makeTunnel(displayName: "a").id, version: "1")
        case .rotateToken:
            try await bench.provision(Bench.options(version: "1"))
            return Bench.options(version: "2")
        case .changeTunnel:
            try await bench.provision(Bench.options(version: "1"))
            return Bench.options(tunnelID: bench.api.makeTunnel(displayName: "b").id, version: "1")
        }
    }

    @Test(arguments: cuts) func nextRunFinishes(_ cut: Cut) async throws {
        let bench = Bench()
        let options = try await prepare(cut.scenario, bench)
        let tunnels = max(1, bench.api.tunnels.count)
        bench.store.restart(crash: MemoryStore.Crash(write: cut.write, moment: cut.moment))
        _ = try? await bench.provision(options)
        bench.store.restart()
        try await bench.provision(options)
        #expect(bench.defects == [])
        #expect(bench.store.contents[.setupState] == nil)
        #expect(bench.api.tunnels.count == tunnels, "no second tunnel")
        let id = bench.store.text(.tunnelID)
        #expect(bench.api.certificates.filter { $0.tunnelID == id }.count == 1, "no second CA")
        let rotations = bench.api.audit.filter { $0.kind == .tokenRotated }.count
        #expect(rotations == (cut.scenario == .rotateToken ? 1 : 0), "rotated once for one version")
        #expect(bench.store.text(.tokenVersion) == options.tokenVersion)
    }

    @Test(arguments: Scenario.allCases) func everyWriteIsCut(_ scenario: Scenario) async throws {
        let bench = Bench()
        let options = try await prepare(scenario, bench)
        let before = bench.store.history.count
        try await bench.provision(options)
        #expect(bench.store.history.count - before <= Self.maxWrites)
    }

    /// Before the last write of a change of tunnels, what the stack reads is the old set.
    @Test func oldSetStaysWholeUntilTheNewOneIs() async throws {
        for write in 0..<Self.maxWrites {
            let bench = Bench()
            let options = try await prepare(.changeTunnel, bench)
            let old = bench.store.contents.everything
            bench.store.restart(crash: MemoryStore.Crash(write: write, moment: .beforeWrite))
            _ = try? await bench.provision(options)
            let values = bench.store.contents.everything.filter { $0.key != .setupState }
            let isNew = bench.store.text(.tunnelID) == options.tunnelID
            #expect(values == old || isNew && bench.defects == [])
        }
    }

    // MARK: Answers that are lost

    static let changes = [
        ("POST", "/v1/tunnels"), ("POST", "/v1/tunnels/*/certificates"), ("POST", "/v1/tunnels/*/reveal_token"),
        ("POST", "/v1/oauth/token"), ("GET", "/v1/tunnels/**"), ("POST", "/v1/tunnels/*/rotate_token"),
    ]
    static let kinds: [FakeFault.Kind] = [
        .refuse, .dropBefore, .dropAfter, .dropMidBody, .stall, .html, .malformedJSON, .oversizedBody,
    ]

    /// Once, which the run itself may get over, and for longer than it tries.
    @Test(arguments: kinds, [1, 3]) func lostAnswersAreOutlived(_ kind: FakeFault.Kind, _ times: Int) async throws {
        for (method, path) in Self.changes {
            for acts in [true, false] {
                let bench = Bench()
                try await bench.provision(Bench.options(version: "0"))
                if path != "/v1/tunnels/*/rotate_token" {
                    StoreKey.allCases.forEach { bench.store.put($0, nil) }
                    _ = try await bench.client.archiveTunnel(bench.api.tunnels[0].id)
                }
                let rotations = { bench.api.audit.filter { $0.kind == .tokenRotated }.count }
                let options = Bench.options(version: "1")
                var fault = FakeFault(kind, method, path, times: times)
                fault.acts = acts
                bench.api.fail(fault)
                _ = try? await bench.provision(options)
                bench.api.removeFaults()
                try await bench.provision(options)
                let context = "\(method) \(path), acts: \(acts)"
                #expect(bench.defects == [], "\(context)")
                #expect(bench.api.tunnels.filter { $0.archivedAt == nil }.count == 1, "\(context)")
                let id = bench.store.text(.tunnelID)
                #expect(bench.api.certificates.filter { $0.tunnelID == id }.count == 1, "\(context)")
                #expect(rotations() <= times + 1, "\(context)")
            }
        }
    }

    @Test func lostCreationIsSettledInTheSameRun() async throws {
        let bench = Bench()
        bench.api.fail(FakeFault(.dropAfter, "POST", "/v1/tunnels", times: 1))
        #expect(try await bench.provision().tunnelAction == .recovered)
        #expect(bench.api.tunnels.count == 1 && bench.defects == [])
    }

    // MARK: Two runs

    /// Where nothing locks the other run out, it may be about to create the tunnel.
    @Test func outwaitsARunThatMayStillBeCreating() async throws {
        let bench = Bench(store: MemoryStore(isExclusive: false))
        bench.store.restart(crash: MemoryStore.Crash(write: 1, moment: .beforeWrite))
        _ = try? await bench.provision()
        bench.store.restart()
        try await bench.provision()
        #expect(bench.pauses.reduce(.zero, +) == .seconds(TunnelCreation.claimLifetime) && bench.defects == [])
        #expect(bench.api.tunnels.count == 1)
    }

    /// The run is over, but the API may still be making the tunnel.
    @Test func waitsForATunnelInTheMaking() async throws {
        let bench = Bench()
        bench.store.restart(crash: MemoryStore.Crash(write: 0, moment: .afterWrite))
        _ = try? await bench.provision(Bench.options(displayName: "slow"))
        bench.store.restart()
        // It comes while the next run waits.
        let context = SetupContext(
            now: { bench.api.now },
            pause: { duration in
                #expect(duration == .seconds(TunnelCreation.lookAgain))
                bench.api.makeTunnel(displayName: "slow")
            })
        let result = try await Provisioner(
            client: try bench.client, store: bench.store, options: Bench.options(), context: context
        ).run()
        #expect(result.tunnelAction == .recovered && bench.api.tunnels.count == 1 && bench.defects == [])
    }

    @Test func takesATunnelThatIsThereAtOnce() async throws {
        let bench = Bench()
        bench.store.restart(crash: MemoryStore.Crash(write: 1, moment: .beforeWrite))
        _ = try? await bench.provision()
        bench.store.restart()
        #expect(try await bench.provision().tunnelAction == .recovered && bench.pauses.isEmpty)
    }

    /// The other run comes to its end in the time.
    @Test func outwaitedRunHasDoneItAll() async throws {
        let bench = Bench(store: MemoryStore(isExclusive: false))
        bench.store.restart(crash: MemoryStore.Crash(write: 0, moment: .afterWrite))
        _ = try? await bench.provision()
        bench.store.restart()
        var context = bench.context
        context.pause = { duration in
            await bench.context.pause(duration)
            _ = try? await bench.provision()
        }
        let result = try await Provisioner(
            client: try bench.client, store: bench.store, options: Bench.options(), context: context
        ).run()
        #expect(!result.isChanged && bench.api.tunnels.count == 1 && bench.defects == [])
    }

    @Test func doesNotWaitForWhatIsLongOver() async throws {
        let bench = Bench()
        bench.store.restart(crash: MemoryStore.Crash(write: 0, moment: .afterWrite))
        _ = try? await bench.provision()
        bench.store.restart()
        bench.api.advance(bySeconds: Int(TunnelCreation.claimLifetime))
        #expect(try await bench.provision().tunnelAction == .created && bench.pauses.isEmpty)
    }

    /// What the lost tunnel cannot have tells another one of the same name from it.
    @Test func takesNoTunnelThatHasAnAuthority() async throws {
        let bench = Bench()
        bench.store.restart(crash: MemoryStore.Crash(write: 0, moment: .afterWrite))
        _ = try? await bench.provision(Bench.options(displayName: "same"))
        bench.store.restart()
        let foreign = bench.api.makeTunnel(displayName: "same")
        let made = try CertificateAuthority.generate(now: bench.api.now.seconds)
        _ = try await bench.client.addCertificate(made.certificate.pem, to: foreign.id)
        let error = await #expect(throws: SetupError.self) { try await bench.provision() }
        #expect(error?.reason.contains(foreign.id) == true && error?.remedy.contains("--tunnel-id") == true)
        #expect(bench.api.tunnels.count == 1 && bench.store.text(.tunnelID) == nil)
    }

    /// Somebody else runs the same right before any of the writes, where nothing locks them out.
    @Test(arguments: Scenario.allCases, 0..<maxWrites)
    func twoRunsComeToOneEnd(_ scenario: Scenario, _ write: Int) async throws {
        let bench = Bench(store: MemoryStore(isExclusive: false))
        let options = try await prepare(scenario, bench)
        let tunnels = max(1, bench.api.tunnels.count)
        bench.store.interrupt(before: write) { _ = try? await bench.provision(options) }
        try await bench.provision(options)
        #expect(bench.defects == [] && bench.store.contents[.setupState] == nil)
        #expect(bench.api.tunnels.count == tunnels, "no second tunnel")
        let id = bench.store.text(.tunnelID)
        #expect(bench.api.certificates.filter { $0.tunnelID == id }.count == 1, "no second CA")
    }

    /// The wait is over when the other run has come on, and what it has made is used.
    @Test func goesOnWhenTheOtherRunHasCreated() async throws {
        let bench = Bench(store: MemoryStore(isExclusive: false))
        bench.store.restart(crash: MemoryStore.Crash(write: 1, moment: .beforeWrite))
        _ = try? await bench.provision()
        bench.store.restart()
        let pauses = Mutex(0)
        var context = bench.context
        context.pause = { _ in
            pauses.withLock { $0 += 1 }
            // It has created the tunnel by now, and writes that down.
            let tunnel = bench.api.tunnels[0]
            bench.store.put(.tunnelID, tunnel.id)
            bench.store.put(.tunnelDomain, tunnel.domain)
            bench.store.put(.setupState, nil)
        }
        let provisioner = Provisioner(
            client: try bench.client, store: bench.store, options: Bench.options(), context: context)
        let result = try await provisioner.run()
        #expect(result.tunnelAction == .reused && pauses.withLock { $0 } == 1)
        #expect(bench.api.tunnels.count == 1 && bench.defects == [])
    }

    @Test func asksWhichOfSeveral() async throws {
        let bench = Bench()
        bench.store.restart(crash: MemoryStore.Crash(write: 1, moment: .beforeWrite))
        _ = try? await bench.provision(Bench.options(displayName: "same"))
        bench.store.restart()
        bench.api.makeTunnel(displayName: "same")
        let error = await #expect(throws: SetupError.self) {
            try await bench.provision(Bench.options(displayName: "same"))
        }
        #expect(bench.api.tunnels.allSatisfy { error?.reason.contains($0.id) == true })
        #expect(error?.remedy.contains("--tunnel-id") == true && bench.api.tunnels.count == 2)
        let id = bench.api.tunnels[0].id
        try await bench.provision(Bench.options(tunnelID: id))
        #expect(bench.defects == [] && bench.store.text(.tunnelID) == id)
    }

    /// A tunnel of the name that was there before is nobody's lost child.
    @Test func takesNoTunnelThatWasThereBefore() async throws {
        let bench = Bench()
        let old = bench.api.makeTunnel(displayName: "same")
        bench.api.fail(FakeFault(.dropBefore, "POST", "/v1/tunnels"))
        _ = try? await bench.provision(Bench.options(displayName: "same"))
        try await bench.provision(Bench.options(displayName: "same"))
        #expect(bench.store.text(.tunnelID) != old.id && bench.defects == [] && bench.api.tunnels.count == 2)
    }
}
