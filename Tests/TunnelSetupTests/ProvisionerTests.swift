import Testing
import TunnelAPI
import TunnelCore
import TunnelPKI
import TunnelsAPIFake

@testable import TunnelSetup

@Suite struct ProvisionerTests {
    // MARK: The plain way

    @Test(arguments: [nil, KeyType.ecdsaP384]) func makesEverythingFromNothing(_ keyType: KeyType?) async throws {
        let bench = Bench()
        let result = try await bench.provision(
            Bench.options(displayName: "Production", version: "1", keyType: keyType))
        #expect(bench.defects == [])
        #expect(result.tunnelAction == .created && result.caAction == .generated)
        #expect(result.tokenAction == .revealed && result.serverCertificateAction == .issued && result.isChanged)
        #expect(bench.api.tunnels.map(\.displayName) == ["Production"])
        #expect(bench.store.text(.tokenVersion) == "1")
        #expect(result.serverCertificate.keyAlgorithm == (keyType == nil ? .rsa(bits: 4096) : .ecdsa(curve: "P-384")))
        #expect(bench.store.contents[.setupState] == nil)
        // The id is on its place before anything but the note about it.
        #expect(bench.store.history.prefix(2) == [[.setupState], [.tunnelID, .tunnelDomain, .setupState]])
    }

    @Test func changesNothingTheSecondTime() async throws {
        let bench = Bench()
        try await bench.provision(Bench.options(version: "1"))
        let (before, history) = (bench.store.contents.everything, bench.store.history.count)
        let quiet: [FakeAuditEvent.Kind] = [.accessTokenMinted, .tokenRevealed]
        let audit = bench.api.audit.filter { !quiet.contains($0.kind) }.count
        let result = try await bench.provision(Bench.options(version: "1"))
        #expect(!result.isChanged && result.tunnelAction == .reused && result.tokenAction == .kept)
        #expect(bench.store.contents.everything == before && bench.store.history.count == history)
        #expect(bench.api.audit.filter { !quiet.contains($0.kind) }.count == audit)
    }

    @Test func attachesToATunnelOfTheFirstGeneration() async throws {
        let bench = Bench(.first)
        let tunnel = bench.api.makeTunnel(displayName: "Console")
        let result = try await bench.provision(Bench.options(tunnelID: tunnel.id))
        #expect(bench.defects == [] && result.tunnelAction == .attached && result.generation == .first)
        #expect(bench.api.tunnels.count == 1)
    }

    @Test func firstGenerationCannotCreate() async throws {
        let bench = Bench(.first)
        await #expect(throws: SetupError.self) { try await bench.plan() }
        let error = await #expect(throws: SetupError.self) { try await bench.provision() }
        #expect(error?.remedy.contains("--tunnel-id") == true && bench.store.contents.isEmpty)
    }

    @Test func refusesAnArchivedTunnel() async throws {
        let bench = Bench()
        let tunnel = bench.api.makeTunnel(displayName: "old")
        _ = try await bench.client.archiveTunnel(tunnel.id)
        let error = await #expect(throws: SetupError.self) {
            try await bench.provision(Bench.options(tunnelID: tunnel.id))
        }
        #expect(error?.reason.contains("archived") == true && bench.store.contents.isEmpty)
    }

    @Test func dryRunChangesNothing() async throws {
        let bench = Bench()
        #expect(try await bench.plan().steps.count == 5)
        try await bench.provision(Bench.options(version: "1"))
        let (before, history) = (bench.store.contents.everything, bench.store.history.count)
        let quiet: [FakeAuditEvent.Kind] = [.accessTokenMinted, .tokenRevealed]
        let audit = bench.api.audit.filter { !quiet.contains($0.kind) }.count
        let lines = try await bench.plan(Bench.options(version: "2")).steps
        #expect(lines.contains("rotate the tunnel token to version 2"))
        #expect(bench.store.contents.everything == before && bench.store.history.count == history)
        #expect(bench.api.audit.filter { !quiet.contains($0.kind) }.count == audit)
    }

    // MARK: Token

    /// Stored version, wanted version, what happens.
    private static let versions: [(String?, String?, ProvisioningResult.TokenAction, stored: String?)] = [
        (nil, nil, .kept, nil), (nil, "1", .kept, "1"), ("1", nil, .kept, "1"), ("1", "1", .kept, "1"),
        ("1", "2", .rotated, "2"), ("2", "1", .rotated, "1"),
    ]

    @Test(arguments: versions)
    func rotatesForANewVersionOnly(
        _ stored: String?, _ wanted: String?, _ action: ProvisioningResult.TokenAction, _ after: String?
    ) async throws {
        let bench = Bench()
        try await bench.provision(Bench.options(version: stored))
        let (token, writes) = (bench.store.text(.tunnelToken), bench.store.history.count)
        let result = try await bench.provision(Bench.options(version: wanted))
        #expect(result.tokenAction == action && bench.store.text(.tokenVersion) == after)
        #expect((bench.store.text(.tunnelToken) == token) == (action == .kept))
        // The announcement, and the token with its version.
        let expected = action == .rotated ? 2 : stored == after ? 0 : 1
        #expect(bench.store.history.count - writes == expected && result.isChanged == (expected > 0))
        #expect(bench.defects == [])
    }

    @Test func fetchesATokenThatIsMissing() async throws {
        let bench = Bench()
        try await bench.provision(Bench.options(version: "1"))
        bench.store.put(.tunnelToken, nil)
        let result = try await bench.provision(Bench.options(version: "1"))
        #expect(result.tokenAction == .revealed && bench.defects == [])
    }

    // MARK: Certificates

    @Test func issuesAServerCertificateThatIsMissingOrBad() async throws {
        let bench = Bench()
        try await bench.provision()
        let other = try PrivateKey.generate(.ecdsaP256).pem
        for change in [{ bench.store.put(.serverCertificate, nil) }, { bench.store.put(.serverKey, other) }] {
            change()
            let result = try await bench.provision()
            #expect(result.serverCertificateAction == .issued && result.caAction == .reused)
            #expect(bench.defects == [])
        }
        bench.api.advance(bySeconds: 91 * 86_400)
        #expect(try await bench.provision().serverCertificateAction == .issued)
        #expect(bench.api.certificates.count == 1)
    }

    /// It works, though not for every route that there might be.
    @Test func keepsAServerCertificateThatIsOnlyWarnedOf() async throws {
        let bench = Bench()
        try await bench.provision()
        let contents = bench.store.contents
        let ca = try CertificateAuthority(
            certificate: try Certificate(pem: try #require(contents[.caCertificate])),
            key: try PrivateKey(pem: try #require(contents[.caKey])))
        let domain = try #require(contents.text(.tunnelDomain))
        let identity = try ca.issueServerIdentity(
            domain: domain, keyType: .ecdsaP256, now: bench.api.now.seconds, includesWildcard: false,
            additionalNames: ["echo.\(domain)"])
        bench.store.put(.serverCertificate, identity.certificate.pem)
        bench.store.put(.serverKey, try identity.key.pem)
        #expect(bench.defects.count == 1, "the warning")
        #expect(try await bench.provision().serverCertificateAction == .kept)
    }

    @Test func keepsTheKindOfKey() async throws {
        let bench = Bench()
        try await bench.provision(Bench.options(keyType: .ecdsaP384))
        bench.api.advance(bySeconds: 91 * 86_400)
        let result = try await bench.provision(Bench.options(keyType: nil))
        #expect(result.serverCertificate.keyAlgorithm == .ecdsa(curve: "P-384"))
    }

    @Test func getsOnWithoutTheAuthoritysKeyWhileNothingIsToBeSigned() async throws {
        let bench = Bench()
        try await bench.provision()
        bench.store.put(.caKey, nil)
        #expect(try await !bench.provision().isChanged)
        bench.store.put(.serverCertificate, nil)
        let error = await #expect(throws: SetupError.self) { try await bench.provision() }
        #expect(error?.hop == .certificate && error?.reason.contains("ca.key") == true)
    }

    @Test func neverBringsBackARevokedAuthority() async throws {
        let bench = Bench()
        let id = try await bench.provision().caID
        _ = try await bench.client.archiveCertificate(id, of: bench.api.tunnels[0].id)
        let error = await #expect(throws: SetupError.self) { try await bench.provision() }
        #expect(error?.reason.contains(id) == true && error?.remedy.contains("rotate-ca") == true)
        #expect(bench.api.certificates.count == 1)
    }

    @Test func namesTheHoldersOfFullSlots() async throws {
        let bench = Bench()
        let tunnel = bench.api.makeTunnel(displayName: "full")
        var ids: [String] = []
        for _ in 0..<2 {
            let ca = try CertificateAuthority.generate(now: bench.api.now.seconds)
            ids.append(try await bench.client.addCertificate(ca.certificate.pem, to: tunnel.id).id)
        }
        let error = await #expect(throws: SetupError.self) {
            try await bench.provision(Bench.options(tunnelID: tunnel.id))
        }
        #expect(ids.allSatisfy { error?.reason.contains($0) == true })
        #expect(error?.remedy.contains("certs revoke") == true && bench.store.contents.isEmpty)
    }

    @Test func registersWhatWasMadeByHand() async throws {
        let bench = Bench()
        let tunnel = bench.api.makeTunnel(displayName: "manual")
        _ = try await ManualCertificates(
            store: bench.store, domain: tunnel.domain, options: ServerCertificateOptions(keyType: .ecdsaP256),
            context: bench.context
        ).run()
        let before = bench.store.contents.everything
        let result = try await bench.provision(Bench.options(tunnelID: tunnel.id))
        #expect(result.caAction == .registered && result.serverCertificateAction == .kept)
        #expect(before.allSatisfy { bench.store.contents[$0.key] == $0.value } && bench.defects == [])
    }

    /// Nobody wrote the tunnel's id down, and somebody the domain in capitals.
    @Test func findsTheTunnelOfWhatWasMadeByHand() async throws {
        let bench = Bench()
        let tunnel = bench.api.makeTunnel(displayName: "manual")
        _ = bench.api.makeTunnel(displayName: "other")
        bench.store.put(.tunnelDomain, tunnel.domain.uppercased())
        #expect(try await bench.provision().isChanged)
        #expect(bench.store.text(.tunnelID) == tunnel.id && bench.api.tunnels.count == 2)
        let elsewhere = Bench()
        elsewhere.store.put(.tunnelDomain, tunnel.domain)
        let error = await #expect(throws: SetupError.self) { try await elsewhere.provision() }
        #expect(error?.reason.contains("there is no tunnel of that domain") == true)
    }

    // MARK: Another tunnel

    @Test func changesToAnotherTunnelInOneStep() async throws {
        let bench = Bench()
        try await bench.provision(Bench.options(version: "1"))
        let old = bench.store.contents.everything
        let other = bench.api.makeTunnel(displayName: "other")
        bench.store.restart(crash: MemoryStore.Crash(write: 1, moment: .beforeWrite))
        await #expect(throws: SetupError.self) { try await bench.provision(Bench.options(tunnelID: other.id)) }
        #expect(old.allSatisfy { bench.store.contents[$0.key] == $0.value }, "the old set is whole")
        bench.store.restart()
        let result = try await bench.provision(Bench.options(tunnelID: other.id))
        #expect(result.tunnelAction == .attached && bench.defects == [] && bench.store.text(.tokenVersion) == nil)
        #expect(bench.api.certificates.filter { $0.tunnelID == other.id }.count == 1)
    }

    // MARK: Failures of the API

    @Test func saysWhichRequestFailed() async throws {
        let bench = Bench()
        bench.api.fail(.answer(403, "POST", "/v1/tunnels"))
        let error = await #expect(throws: SetupError.self) { try await bench.provision() }
        #expect(error?.hop == .api && error?.requestID != nil)
        #expect(bench.store.contents.isEmpty, "a refused creation leaves no note")
        try await bench.provision()
        #expect(bench.defects == [])
    }

    @Test func neverShowsASecret() async throws {
        let bench = Bench()
        bench.api.fail(FakeFault(.echo, "POST", "/v1/oauth/token"))
        let error = await #expect(throws: SetupError.self) { try await bench.provision() }
        try await bench.provision(Bench.options(version: "1"))
        try await bench.provision(Bench.options(version: "2"))
        let text = (bench.told + [String(describing: error), String(reflecting: error)]).joined(separator: "\n")
        for token in bench.api.tunnels.flatMap({ [$0.token ?? "?"] + $0.formerTokens }) + ["PRIVATE", "sk-ant", "eyJ"] {
            #expect(!text.contains(token))
        }
    }
}
