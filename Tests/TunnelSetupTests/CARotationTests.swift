import Testing
import TunnelAPI
import TunnelCore
import TunnelPKI
import TunnelsAPIFake

@testable import TunnelSetup

@Suite struct CARotationTests {
    private func provisioned() async throws -> Bench {
        let bench = Bench()
        try await bench.provision(Bench.options(version: "1"))
        return bench
    }

    private func active(_ bench: Bench) -> [FakeCertificate] { bench.api.certificates.filter { $0.archivedAt == nil } }

    @Test func changesTheAuthorityInTwoSteps() async throws {
        let bench = try await provisioned()
        let (old, token) = (active(bench)[0], bench.store.text(.tunnelToken))
        let started = try await bench.rotation.start()
        #expect(started.stage == .waitingToFinish && started.previousID == old.id && started.next != nil)
        #expect(bench.defects == [] && active(bench).count == 2, "both are registered, the new one is in use")
        #expect(started.ca.fingerprint != old.fingerprint)

        let again = try await bench.rotation.start()
        #expect(again.stage == .waitingToFinish && active(bench).count == 2, "a second start changes nothing")

        let finished = try await bench.rotation.finish()
        #expect(finished.stage == .finished && active(bench).map(\.fingerprint) == [started.ca.fingerprint])
        #expect(bench.defects == [] && bench.store.contents[.setupState] == nil)
        #expect(try await bench.rotation.finish().stage == .nothingToFinish)
        #expect(bench.store.text(.tunnelToken) == token, "the token has nothing to do with it")
        #expect(try await !bench.provision(Bench.options(version: "1")).isChanged)
    }

    struct Cut: Sendable, CustomTestStringConvertible {
        let write: Int
        let moment: MemoryStore.Crash.Moment
        let isFinish: Bool
        var testDescription: String { "\(isFinish ? "finish" : "start"), write \(write), \(moment)" }
    }
    static let cuts = [false, true].flatMap { isFinish in
        (0..<3).flatMap { write in
            [.beforeWrite, .afterWrite].map { Cut(write: write, moment: $0, isFinish: isFinish) }
        }
    }

    @Test(arguments: cuts) func nextRunGoesOn(_ cut: Cut) async throws {
        let bench = try await provisioned()
        let old = active(bench)[0]
        if cut.isFinish { _ = try await bench.rotation.start() }
        bench.store.restart(crash: MemoryStore.Crash(write: cut.write, moment: cut.moment))
        _ = cut.isFinish ? try? await bench.rotation.finish() : try? await bench.rotation.start()
        bench.store.restart()
        #expect(bench.defects == [], "what is in use is good at any moment")
        _ = try await bench.rotation.start()
        _ = try await bench.rotation.finish()
        #expect(bench.defects == [] && bench.store.contents[.setupState] == nil)
        // A finish that had come through before the cut makes the start after it a second change.
        #expect(active(bench).count == 1 && active(bench)[0].id != old.id)
        #expect(bench.api.certificates.count == (cut.isFinish && cut.write > 0 || isDone(cut) ? 3 : 2))
    }

    private func isDone(_ cut: Cut) -> Bool { cut.isFinish && cut.moment == .afterWrite }

    @Test(arguments: [FakeFault.Kind.dropBefore, .dropAfter, .stall])
    func lostRegistrationFillsNoSecondSlot(_ kind: FakeFault.Kind) async throws {
        let bench = try await provisioned()
        bench.api.fail(FakeFault(kind, "POST", "/v1/tunnels/*/certificates", times: 3))
        _ = try? await bench.rotation.start()
        bench.api.removeFaults()
        _ = try await bench.rotation.start()
        #expect(active(bench).count == 2 && bench.defects == [])
    }

    @Test func lostAnswerIsSettledInTheSameRun() async throws {
        let bench = try await provisioned()
        bench.api.fail(FakeFault(.dropAfter, "POST", "/v1/tunnels/*/certificates", times: 1))
        #expect(try await bench.rotation.start().stage == .waitingToFinish)
        #expect(active(bench).count == 2 && bench.defects == [])
    }

    /// Where nobody is locked out: the new CA is the same one, and the other run's change stays.
    @Test(arguments: [0, 1]) func beginsAnewWhereAnotherRunGetsAhead(_ write: Int) async throws {
        let bench = Bench(store: MemoryStore(isExclusive: false))
        try await bench.provision(Bench.options(version: "1"))
        bench.store.interrupt(before: write) { bench.store.put(.tokenVersion, "2") }
        let result = try await bench.rotation.start()
        #expect(result.stage == .waitingToFinish && bench.told.contains { $0.contains("looking again") })
        #expect(bench.defects == [] && bench.api.certificates.count == 2 && bench.store.text(.tokenVersion) == "2")
        bench.store.interrupt(before: 0) { bench.store.put(.tokenVersion, "3") }
        #expect(try await bench.rotation.finish().stage == .finished)
        #expect(bench.store.contents[.setupState] == nil && bench.store.text(.tokenVersion) == "3")
    }

    @Test func namesWhoHasTakenTheSlotMeanwhile() async throws {
        let bench = try await provisioned()
        bench.store.restart(crash: MemoryStore.Crash(write: 0, moment: .afterWrite))
        _ = try? await bench.rotation.start()
        bench.store.restart()
        let id = try await register(bench)
        let error = await #expect(throws: SetupError.self) { try await bench.rotation.start() }
        #expect(error?.reason.contains(id) == true)
        _ = try await bench.client.archiveCertificate(id, of: bench.api.tunnels[0].id)
        _ = try await bench.rotation.start()
        #expect(active(bench).count == 2 && bench.defects == [])
    }

    /// Whatever stands in the state, what is revoked belongs to the stored tunnel.
    @Test(arguments: [nil, "tcrt_other"]) func changeOfAnotherTunnelIsNoneOfThisOne(_ id: String?) async throws {
        let bench = try await provisioned()
        let old = active(bench)[0]
        var state = SetupState()
        state.previousCA = SetupState.PreviousCA(
            tunnelID: "tnl_other", certificateID: id ?? old.id, fingerprint: old.fingerprint)
        var changes = StoreChanges()
        try state.record(in: &changes)
        bench.store.put(.setupState, changes.values[.setupState] ?? nil)
        #expect(try await bench.rotation.finish().stage == .nothingToFinish)
        #expect(try await bench.rotation.start().stage == .waitingToFinish)
        #expect(active(bench).count == 2 && bench.defects == [])
    }

    private func register(_ bench: Bench) async throws -> String {
        let made = try CertificateAuthority.generate(now: bench.api.now.seconds)
        return try await bench.client.addCertificate(made.certificate.pem, to: bench.api.tunnels[0].id).id
    }

    @Test func refusesWhenBothSlotsAreForeign() async throws {
        let bench = try await provisioned()
        _ = try await bench.client.archiveCertificate(active(bench)[0].id, of: bench.api.tunnels[0].id)
        let ids = [try await register(bench), try await register(bench)]
        let before = bench.store.contents.everything
        let error = await #expect(throws: SetupError.self) { try await bench.rotation.start() }
        #expect(
            error?.reason.contains("both CA slots") == true && ids.allSatisfy { error?.reason.contains($0) == true })
        #expect(bench.store.contents.everything == before && active(bench).count == 2)
    }

    @Test func refusesWhenTheOtherSlotIsForeign() async throws {
        let bench = try await provisioned()
        let id = try await register(bench)
        let error = await #expect(throws: SetupError.self) { try await bench.rotation.start() }
        #expect(error?.reason.contains(id) == true && error?.remedy.contains("certs revoke") == true)
        #expect(error?.reason.contains("both CA slots") == false, "one of them is ours")
    }

    /// The way out when somebody has revoked the CA in use.
    @Test func replacesARevokedAuthority() async throws {
        let bench = try await provisioned()
        _ = try await bench.client.archiveCertificate(active(bench)[0].id, of: bench.api.tunnels[0].id)
        let result = try await bench.rotation.start()
        #expect(result.stage == .finished && result.previousID == nil && bench.defects == [])
    }

    @Test func neverRevokesTheLastGoodAuthority() async throws {
        let bench = try await provisioned()
        let old = active(bench)[0]
        let new = try await bench.rotation.start()
        _ = try await bench.client.archiveCertificate(try #require(new.caID), of: bench.api.tunnels[0].id)
        let error = await #expect(throws: SetupError.self) { try await bench.rotation.finish() }
        #expect(error?.reason.contains("not registered") == true && active(bench).map(\.id) == [old.id])
    }

    /// The way out of that: another new one, and the old one is still the one to be revoked.
    @Test func replacesANewAuthorityThatWasRevoked() async throws {
        let bench = try await provisioned()
        let old = active(bench)[0]
        let new = try await bench.rotation.start()
        _ = try await bench.client.archiveCertificate(try #require(new.caID), of: bench.api.tunnels[0].id)
        let again = try await bench.rotation.start()
        #expect(again.stage == .waitingToFinish && again.previousID == old.id && bench.defects == [])
        _ = try await bench.rotation.finish()
        #expect(active(bench).map(\.id) == [again.caID] && bench.defects == [])
    }

    @Test func oldAuthorityMayBeRevokedByHand() async throws {
        for isFinish in [true, false] {
            let bench = try await provisioned()
            let (old, new) = (active(bench)[0], try await bench.rotation.start())
            _ = try await bench.client.archiveCertificate(old.id, of: bench.api.tunnels[0].id)
            let result = isFinish ? try await bench.rotation.finish() : try await bench.rotation.start()
            #expect(result.stage == .finished && result.previousID == old.id)
            #expect(active(bench).map(\.id) == [new.caID] && bench.store.contents[.setupState] == nil)
            // It is not revoked once more, and nobody says that this run has done it.
            #expect(bench.told.contains { $0.contains("old CA \(old.id) was revoked already") })
        }
    }

    /// Somebody has put the old files back from a copy.
    @Test func neverRevokesTheAuthorityInUse() async throws {
        let bench = try await provisioned()
        let before = bench.store.contents.everything
        _ = try await bench.rotation.start()
        for (key, value) in before { bench.store.put(key, value) }
        let error = await #expect(throws: SetupError.self) { try await bench.rotation.finish() }
        #expect(error?.remedy.contains("without --finish") == true && active(bench).count == 2 && bench.defects == [])
        // Nor is the change taken for done: the CA that is not there any more has the other slot.
        let used = try fingerprint(bench)
        let lost = try #require(active(bench).first { $0.fingerprint != used })
        let full = await #expect(throws: SetupError.self) { try await bench.rotation.start() }
        #expect(full?.reason.contains(lost.id) == true)
        _ = try await bench.client.archiveCertificate(lost.id, of: bench.api.tunnels[0].id)
        #expect(try await bench.rotation.start().stage == .waitingToFinish)
    }

    private func fingerprint(_ bench: Bench) throws -> String {
        try Certificate(pem: try #require(bench.store.contents[.caCertificate])).fingerprint
    }

    @Test func nothingIsLeftToRevokeWhenBothWereRevoked() async throws {
        let bench = try await provisioned()
        _ = try await bench.rotation.start()
        for certificate in active(bench) {
            _ = try await bench.client.archiveCertificate(certificate.id, of: bench.api.tunnels[0].id)
        }
        let result = try await bench.rotation.start()
        #expect(result.stage == .finished && result.previousID == nil && active(bench).count == 1)
        #expect(bench.defects == [] && bench.store.contents[.setupState] == nil)
    }

    @Test func neverFinishesWithABadServerCertificate() async throws {
        let bench = try await provisioned()
        _ = try await bench.rotation.start()
        bench.store.put(.serverKey, try PrivateKey.generate(.ecdsaP256).pem)
        let error = await #expect(throws: SetupError.self) { try await bench.rotation.finish() }
        #expect(error?.findings.map(\.rule) == [.keyMatches] && active(bench).count == 2)
    }

    @Test func saysThatABegunChangeComesFirst() async throws {
        let bench = try await provisioned()
        bench.store.restart(crash: MemoryStore.Crash(write: 1, moment: .beforeWrite))
        _ = try? await bench.rotation.start()
        bench.store.restart()
        let error = await #expect(throws: SetupError.self) { try await bench.rotation.finish() }
        #expect(error?.remedy.contains("without --finish") == true)
    }

    @Test func needsATunnel() async throws {
        let error = await #expect(throws: SetupError.self) { try await Bench().rotation.start() }
        #expect(error?.remedy.contains("setup init") == true)
    }
}
