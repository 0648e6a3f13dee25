import Testing
import TunnelCore
import TunnelPKI
import TunnelsAPIFake

@testable import TunnelSetup

@Suite struct CertificateRenewalTests {
    private static let day: Int64 = 86_400

    /// CA and server certificate made by hand, for 90 days.
    private func bench(_ keyType: KeyType = .ecdsaP256) async throws -> Bench {
        let bench = Bench()
        _ = try await ManualCertificates(
            store: bench.store, domain: "abcd1234.tunnel.anthropic.com",
            options: ServerCertificateOptions(keyType: keyType), context: bench.context
        ).run()
        return bench
    }

    private func renew(
        _ bench: Bench, before: Duration = .zero, _ options: ServerCertificateOptions = ServerCertificateOptions()
    ) async throws -> CertificateRenewal.Result {
        try await CertificateRenewal(
            store: bench.store, options: options, renewBefore: before, context: bench.context
        ).run()
    }

    @Test func changesKeyAndCertificateAsAPair() async throws {
        let bench = try await bench()
        let before = bench.store.contents.everything
        let result = try await renew(bench)
        #expect(result.isRenewed && bench.store.history.last == [.serverCertificate, .serverKey])
        #expect(bench.store.contents[.serverKey] != before[.serverKey])
        let changed = StoreKey.allCases.filter { bench.store.contents[$0] != before[$0] }
        #expect(changed == [.serverCertificate, .serverKey])
        #expect(CredentialCheck(now: bench.api.now.seconds).check(.init(bench.store.contents)).isGood)
        #expect(bench.api.requests.isEmpty, "nobody is asked")
    }

    /// Days that have passed, whether it is renewed with 30 days before the end. Exactly 30 left is not more than 30.
    @Test(arguments: [(0, false), (59, false), (60, true), (89, true), (91, true)] as [(Int, Bool)])
    func renewsInTime(_ days: Int, _ isRenewed: Bool) async throws {
        let bench = try await bench()
        bench.api.advance(bySeconds: days * 86_400)
        let result = try await renew(bench, before: .seconds(30 * Self.day))
        #expect(result.isRenewed == isRenewed)
        // Without it, the keys of session tickets alone are changed, once a day has passed.
        #expect(bench.store.history.last?.contains(.serverKey) == (isRenewed || days == 0))
    }

    /// Where nobody is locked out: what the other run has written is taken up, and not written over.
    @Test func beginsAnewWhereAnotherRunGetsAhead() async throws {
        let bench = Bench(store: MemoryStore(isExclusive: false))
        _ = try await ManualCertificates(
            store: bench.store, domain: "abcd1234.tunnel.anthropic.com",
            options: ServerCertificateOptions(keyType: .ecdsaP256), context: bench.context
        ).run()
        let other = "other.tunnel.anthropic.com"
        bench.store.interrupt(before: 0) { bench.store.put(.tunnelDomain, other) }
        let result = try await renew(bench)
        #expect(result.isRenewed && result.certificate.dnsNames == [other, "*." + other])
        #expect(bench.told.contains { $0.contains("another run has changed") && $0.contains("looking again") })
        #expect(CredentialCheck(now: bench.api.now.seconds).check(.init(bench.store.contents)).isGood)
    }

    @Test func saysIssuedWhenItIsWritten() async throws {
        let bench = try await bench()
        let before = bench.told.count
        bench.store.restart(crash: MemoryStore.Crash(write: 0, moment: .beforeWrite))
        _ = try? await renew(bench)
        #expect(!bench.told.dropFirst(before).contains { $0.contains("issued") })
        bench.store.restart()
        _ = try await renew(bench)
        #expect(bench.told.last?.hasPrefix("server certificate issued for abcd1234") == true)
    }

    @Test func renewsWhatIsBadHoweverLongItLasts() async throws {
        let bench = try await bench()
        bench.store.put(.tunnelDomain, "other.tunnel.anthropic.com")
        #expect(try await renew(bench, before: .seconds(Self.day)).isRenewed)
        bench.store.put(.serverKey, nil)
        #expect(try await renew(bench, before: .seconds(Self.day)).isRenewed)
        #expect(try await !renew(bench, before: .seconds(Self.day)).isRenewed)
    }

    @Test func keepsOrChangesTheKindOfKey() async throws {
        let bench = try await bench(.ecdsaP384)
        #expect(try await renew(bench).certificate.keyAlgorithm == .ecdsa(curve: "P-384"))
        let options = ServerCertificateOptions(validity: .seconds(Self.day), keyType: .ecdsaP256)
        let result = try await renew(bench, options)
        #expect(result.certificate.keyAlgorithm == .ecdsa(curve: "P-256"))
        #expect(result.certificate.notAfter == bench.api.now.seconds + Self.day)
    }

    @Test(arguments: KeyType.allCases) func knowsEachKindOfKey(_ type: KeyType) throws {
        let identity = try CertificateAuthority.generate(now: 0).issueServerIdentity(
            domain: "t.example", keyType: type, now: 0)
        let contents = StoreContents([.serverCertificate: identity.certificate.pem])
        #expect(ServerCertificateOptions().keyType(replacing: contents) == type)
    }

    @Test func tellsThatTheAuthorityEndsFirst() async throws {
        let bench = try await bench()
        bench.api.advance(bySeconds: 1_800 * 86_400)
        _ = try await renew(bench)
        #expect(bench.told.contains { $0.contains("rotate-ca") })
    }

    @Test(arguments: [StoreKey.tunnelDomain, .caCertificate, .caKey])
    func saysWhatIsMissing(_ key: StoreKey) async throws {
        let bench = try await bench()
        bench.store.put(key, nil)
        let error = await #expect(throws: SetupError.self) { try await renew(bench) }
        #expect(error?.reason.contains(key.rawValue) == true && error?.remedy.isEmpty == false)
    }

    @Test func refusesAnAuthorityThatDoesNotFitTogether() async throws {
        let bench = try await bench()
        bench.store.put(.caKey, try PrivateKey.generate(.ecdsaP256).pem)
        let before = bench.store.contents.everything
        let error = await #expect(throws: SetupError.self) { try await renew(bench) }
        #expect(error?.hop == .certificate && error?.reason.contains("ca.key") == true)
        #expect(bench.store.contents.everything == before)
    }

    /// A CA that waits to be registered is not one that may sign.
    @Test func ignoresAnAuthorityThatIsNotRegistered() async throws {
        let bench = Bench()
        bench.store.restart(crash: MemoryStore.Crash(write: 3, moment: .beforeWrite))
        _ = try? await bench.provision()
        bench.store.restart()
        #expect(bench.store.contents[.setupState] != nil && bench.store.contents[.caCertificate] == nil)
        let error = await #expect(throws: SetupError.self) { try await renew(bench) }
        #expect(error?.remedy.contains("setup init") == true && bench.store.contents[.serverCertificate] == nil)
    }
}
