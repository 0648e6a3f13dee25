import Testing
import TunnelAPI
import TunnelCore
import TunnelPKI
import TunnelsAPIFake

@testable import TunnelSetup

/// What an operator changes between a run that was cut off and the next one.
@Suite struct ProvisionerChangesTests {
    /// A run of `options` that loses power before the write with this number.
    private func cut(_ bench: Bench, _ options: ProvisioningOptions, before write: Int) async {
        bench.store.restart(crash: MemoryStore.Crash(write: write, moment: .beforeWrite))
        _ = try? await bench.provision(options)
        bench.store.restart()
    }

    // MARK: Tunnel

    /// The flag was given to the run that was cut off, and not to the next.
    @Test func attachesToTheTunnelOfTheRunThatWasCutOff() async throws {
        let bench = Bench()
        let tunnel = bench.api.makeTunnel(displayName: "named")
        for write in 0..<2 {
            await cut(bench, Bench.options(tunnelID: tunnel.id), before: write)
            if bench.store.contents.isEmpty { continue }
            try await bench.provision()
        }
        #expect(bench.api.tunnels.count == 1 && bench.store.text(.tunnelID) == tunnel.id && bench.defects == [])
    }

    /// And the other way round.
    @Test func saysWhichTunnelMayBeLeft() async throws {
        let bench = Bench()
        let tunnel = bench.api.makeTunnel(displayName: "named")
        await cut(bench, Bench.options(displayName: "lost"), before: 1)
        let notes = try await bench.plan(Bench.options(tunnelID: tunnel.id)).notes
        #expect(notes.count == 1 && notes[0].contains("\"lost\"") && notes[0].contains("tunnels list"))
        try await bench.provision(Bench.options(tunnelID: tunnel.id))
        #expect(bench.told.contains { $0.contains("that is not used") } && bench.store.contents[.setupState] == nil)
    }

    @Test func findsTheTunnelOfCertificatesMadeByHand() async throws {
        for generation in [FakeGeneration.first, .second] {
            let bench = Bench(generation)
            bench.api.makeTunnel(displayName: "other")
            let tunnel = bench.api.makeTunnel(displayName: "manual")
            bench.api.makeTunnel(displayName: "newest")
            try await manual(bench, tunnel.domain)
            let result = try await bench.provision()
            #expect(result.tunnelAction == .attached && result.caAction == .registered)
            #expect(bench.store.text(.tunnelID) == tunnel.id && bench.api.tunnels.count == 3 && bench.defects == [])
        }
    }

    @Test func createsNoTunnelForTheCertificatesOfAnother() async throws {
        let bench = Bench()
        try await manual(bench, "elsewhere.tunnel.anthropic.com")
        let before = bench.store.contents.everything
        let error = await #expect(throws: SetupError.self) { try await bench.provision() }
        #expect(error?.reason.contains("elsewhere") == true && error?.remedy.contains("--tunnel-id") == true)
        #expect(bench.api.tunnels.isEmpty && bench.store.contents.everything == before)
    }

    /// A store with a CA and without a tunnel keeps what it has until all of it can change.
    @Test(arguments: 0..<4, [MemoryStore.Crash.Moment.beforeWrite, .afterWrite])
    func createsATunnelForAnAuthorityThatIsThere(_ write: Int, _ moment: MemoryStore.Crash.Moment) async throws {
        let bench = Bench()
        let made = try CertificateAuthority.generate(now: bench.api.now.seconds)
        bench.store.put(.caCertificate, made.certificate.pem)
        bench.store.put(.caKey, try made.key.pem)
        #expect(try await bench.plan().steps.contains { $0.contains(made.certificate.fingerprint) })
        bench.store.restart(crash: MemoryStore.Crash(write: write, moment: moment))
        _ = try? await bench.provision()
        bench.store.restart()
        #expect(bench.store.text(.tunnelID) == nil || bench.defects == [])
        let isCreated = try SetupState.read(bench.store.contents).createdTunnelID != nil
        if isCreated { #expect(try await bench.plan().notes.isEmpty) }
        try await bench.provision()
        #expect(bench.defects == [] && bench.store.contents[.setupState] == nil && bench.api.tunnels.count == 1)
        #expect(bench.api.certificates.map(\.fingerprint) == [made.certificate.fingerprint])
    }

    @Test func saysWhichCreatedTunnelIsNotUsed() async throws {
        let bench = Bench()
        bench.store.put(.serverKey, try PrivateKey.generate(.ecdsaP256).pem)
        await cut(bench, Bench.options(), before: 2)
        let created = bench.api.tunnels[0]
        let other = bench.api.makeTunnel(displayName: "other")
        let notes = try await bench.plan(Bench.options(tunnelID: other.id)).notes
        #expect(notes.contains { $0.contains(created.id) && $0.contains("tunnels archive") })
        try await bench.provision(Bench.options(tunnelID: other.id))
        #expect(bench.defects == [] && bench.store.contents[.setupState] == nil)
    }

    @Test func takesTheNewNameWhereTheOldOneWasNotUsed() async throws {
        let bench = Bench()
        bench.store.restart(crash: MemoryStore.Crash(write: 0, moment: .afterWrite))
        _ = try? await bench.provision(Bench.options(displayName: "old"))
        bench.store.restart()
        let steps = try await bench.plan(Bench.options(displayName: "new")).steps
        #expect(steps[0].contains("an earlier run meant to create") && steps[0].contains("\"new\""))
        try await bench.provision(Bench.options(displayName: "new"))
        #expect(bench.api.tunnels.map(\.displayName) == ["new"])
    }

    // MARK: CA

    private func manual(_ bench: Bench, _ domain: String) async throws {
        _ = try await ManualCertificates(
            store: bench.store, domain: domain, options: ServerCertificateOptions(keyType: .ecdsaP256),
            context: bench.context
        ).run()
    }

    /// The key of a CA may be the only one there is.
    @Test func neverReplacesAKeyWhoseCertificateIsGone() async throws {
        let bench = Bench()
        try await bench.provision()
        bench.store.put(.caCertificate, nil)
        let before = bench.store.contents.everything
        let domain = try #require(bench.store.text(.tunnelDomain))
        let attempts: [() async throws -> Void] = [
            { try await bench.provision() }, { _ = try await bench.rotation.start() },
            { try await manual(bench, domain) },
        ]
        for attempt in attempts {
            let error = await #expect(throws: SetupError.self) { try await attempt() }
            #expect(error?.reason.contains("ca.key is there without ca.crt") == true)
        }
        #expect(bench.store.contents.everything == before && bench.api.certificates.count == 1)
    }

    @Test(arguments: [false, true]) func announcedAuthorityThatWasRevokedStaysRevoked(_ isRotation: Bool) async throws {
        let bench = Bench()
        if isRotation {
            try await bench.provision()
            bench.store.restart(crash: MemoryStore.Crash(write: 1, moment: .beforeWrite))
            _ = try? await bench.rotation.start()
            bench.store.restart()
        } else {
            await cut(bench, Bench.options(), before: 3)
        }
        let announced = try #require(bench.api.certificates.last)
        _ = try await bench.client.archiveCertificate(announced.id, of: bench.api.tunnels[0].id)
        if isRotation { _ = try await bench.rotation.start() } else { try await bench.provision() }
        #expect(bench.defects == [])
        let entries = bench.api.certificates.filter { $0.fingerprint == announced.fingerprint }
        #expect(entries.count == 1 && entries[0].archivedAt != nil)
    }

    /// A clock that was wrong when the CA was made, in seconds.
    @Test(arguments: [-6 * 365 * 86_400, 86_400] as [Int64])
    func authorityOfAWrongClockIsMadeAnew(_ error: Int64) async throws {
        for isRotation in [false, true] {
            let bench = Bench()
            if isRotation { try await bench.provision() }
            var context = bench.context
            context.now = { UnixTime(seconds: bench.api.now.seconds + error) }
            let (client, options) = (try bench.client, Bench.options())
            let rotation = CARotation(
                client: client, store: bench.store, options: options.serverCertificate, context: context)
            let provisioner = Provisioner(client: client, store: bench.store, options: options, context: context)
            await #expect(throws: SetupError.self) {
                if isRotation { _ = try await rotation.start() } else { _ = try await provisioner.run() }
            }
            #expect(bench.store.contents[.setupState] != nil)
            if isRotation { _ = try await bench.rotation.start() } else { try await bench.provision() }
            #expect(bench.defects == [] && bench.api.certificates.count == (isRotation ? 2 : 1))
        }
    }

    @Test func nothingIsBegunThatCannotBeSigned() async throws {
        let bench = Bench()
        try await bench.provision(Bench.options(version: "1"))
        bench.store.put(.caKey, nil)
        bench.store.put(.serverCertificate, nil)
        let options = Bench.options(version: "2")
        await #expect(throws: SetupError.self) { try await bench.plan(options) }
        await #expect(throws: SetupError.self) { try await bench.provision(options) }
        #expect(!bench.api.audit.contains { $0.kind == .tokenRotated })
    }

    @Test func expiredAuthorityIsReplacedByARotation() async throws {
        let bench = Bench()
        try await bench.provision()
        bench.api.advance(bySeconds: 1_827 * 86_400)
        let error = await #expect(throws: SetupError.self) { try await bench.provision() }
        #expect(error?.reason.contains("expired") == true && error?.remedy.contains("rotate-ca") == true)
        _ = try await bench.rotation.start()
        #expect(bench.defects == [])
    }

    @Test func certificatesByHandLeaveBegunWorkAlone() async throws {
        let bench = Bench()
        await cut(bench, Bench.options(), before: 3)
        let (before, domain) = (bench.store.contents.everything, try #require(bench.store.text(.tunnelDomain)))
        let error = await #expect(throws: SetupError.self) { try await manual(bench, domain) }
        #expect(error?.remedy.contains("setup init") == true && bench.store.contents.everything == before)
        try await bench.provision()
        // A complete set is kept, in whatever case the domain is typed.
        try await manual(bench, domain.uppercased())
        #expect(bench.defects == [])
    }

    @Test func changeOfTheTunnelEndsThatOfTheAuthority() async throws {
        let bench = Bench()
        try await bench.provision()
        _ = try await bench.rotation.start()
        try await bench.provision(Bench.options(tunnelID: bench.api.makeTunnel(displayName: "other").id))
        #expect(bench.store.contents[.setupState] == nil && bench.defects == [])
    }

    /// What the response to the registration says: another certificate, or one that is revoked.
    @Test(arguments: [true, false]) func takesNoOtherCertificateForTheRegisteredOne(_ isOther: Bool) async throws {
        let bench = Bench()
        bench.forge { path, body in
            guard path.hasPrefix("POST"), path.hasSuffix("/certificates") else { return body }
            let members =
                isOther
                ? "\"fingerprint\":\"\(String(repeating: "a", count: 64))\",\"archived_at\":null"
                : "\"fingerprint\":\"\(bench.api.certificates[0].fingerprint)\",\"archived_at\":\"2026-01-01T00:00:00Z\""
            let tunnel = path.split(separator: "/").dropLast().last ?? ""
            return "{\"id\":\"tcrt_1\",\"tunnel_id\":\"\(tunnel)\",\"created_at\":\"2026-01-01T00:00:00Z\",\(members)}"
        }
        let error = await #expect(throws: SetupError.self) { try await bench.provision() }
        #expect(error?.reason.contains("another certificate: tcrt_1") == true)
        #expect(bench.store.contents[.caCertificate] == nil)
        bench.forge { $1 }
        try await bench.provision()
        #expect(bench.defects == [] && bench.api.certificates.count == 1)
    }

    @Test func saysWhyAnAuthorityCannotBeRegistered() async throws {
        let bench = Bench()
        let made = try CertificateAuthority.generate(
            now: bench.api.now.seconds - 86_400, validity: .seconds(86_399))
        bench.store.put(.caCertificate, made.certificate.pem)
        bench.store.put(.caKey, try made.key.pem)
        let tunnel = bench.api.makeTunnel(displayName: "named")
        let error = await #expect(throws: SetupError.self) {
            try await bench.provision(Bench.options(tunnelID: tunnel.id))
        }
        #expect(error?.findings.isEmpty == false && error?.remedy.contains("another CA") == true)
        #expect(bench.store.contents[.setupState] == nil && bench.api.certificates.isEmpty)
    }

    /// A change of the CA that was cut off stays as it is while init works on the old one.
    @Test func initLeavesABegunChangeOfTheAuthorityAlone() async throws {
        let bench = Bench()
        try await bench.provision(Bench.options(version: "1"))
        bench.store.restart(crash: MemoryStore.Crash(write: 1, moment: .beforeWrite))
        _ = try? await bench.rotation.start()
        bench.store.restart()
        let result = try await bench.provision(Bench.options(version: "2"))
        #expect(result.caAction == .reused && bench.defects == [])
        let rotated = try await bench.rotation.start()
        #expect(rotated.stage == .waitingToFinish && bench.api.certificates.count == 2 && bench.defects == [])
    }

    @Test func saysWhichAuthorityIsDropped() async throws {
        let bench = Bench()
        let (first, second) = (bench.api.makeTunnel(displayName: "a"), bench.api.makeTunnel(displayName: "b"))
        await cut(bench, Bench.options(tunnelID: first.id), before: 1)
        let notes = try await bench.plan(Bench.options(tunnelID: second.id)).notes
        #expect(notes.count == 1 && notes[0].contains(first.id) && notes[0].contains("certs revoke"))
        try await bench.provision(Bench.options(tunnelID: second.id))
        await cut(bench, Bench.options(tunnelID: first.id), before: 1)
        let pending = try #require(try SetupState.read(bench.store.contents).ca)
        let rotated = try await bench.rotation.start()
        #expect(rotated.ca != (try Certificate(pem: Array(pending.certificate.utf8))))
        #expect(bench.told.filter { $0.contains("is dropped") && $0.contains(first.id) }.count >= 2)
    }
}
