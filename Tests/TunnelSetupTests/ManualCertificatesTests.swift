import Testing
import TunnelCore
import TunnelPKI
import TunnelsAPIFake

@testable import TunnelSetup

@Suite struct ManualCertificatesTests {
    private let domain = "abcd1234.tunnel.anthropic.com"

    private func run(_ bench: Bench, _ domain: String) async throws -> ManualCertificates.Result {
        try await ManualCertificates(
            store: bench.store, domain: domain, options: ServerCertificateOptions(keyType: .ecdsaP256),
            context: bench.context
        ).run()
    }

    @Test func makesWhatTheProxyNeedsInOneStep() async throws {
        let bench = Bench()
        let result = try await run(bench, domain)
        #expect(result.isNewCA && result.isNewServerCertificate && bench.store.history.count == 1)
        #expect(
            bench.store.contents.keys == [
                .tunnelDomain, .caCertificate, .caKey, .serverCertificate, .serverKey, .ticketKeys,
            ])
        #expect(CredentialCheck(now: bench.api.now.seconds).check(.init(bench.store.contents)).isGood)
        #expect(bench.api.requests.isEmpty)
    }

    @Test func keepsWhatIsThere() async throws {
        let bench = Bench()
        _ = try await run(bench, domain)
        let before = bench.store.contents.everything
        let again = try await run(bench, domain)
        #expect(!again.isNewCA && !again.isNewServerCertificate && bench.store.contents.everything == before)
        bench.api.advance(bySeconds: 91 * 86_400)
        let later = try await run(bench, domain)
        #expect(!later.isNewCA && later.isNewServerCertificate && later.ca == again.ca)
    }

    @Test func issuesAnewWhereTheKeyIsGone() async throws {
        let bench = Bench()
        _ = try await run(bench, domain)
        bench.store.put(.serverKey, nil)
        let again = try await run(bench, domain)
        #expect(!again.isNewCA && again.isNewServerCertificate)
        #expect(CredentialCheck(now: bench.api.now.seconds).check(.init(bench.store.contents)).isGood)
    }

    @Test func keepsACompleteSetWhoseOldAuthorityWaits() async throws {
        let bench = Bench()
        try await bench.provision()
        _ = try await bench.rotation.start()
        let before = bench.store.contents.everything
        _ = try await run(bench, try #require(bench.store.text(.tunnelDomain)))
        #expect(bench.store.contents.everything == before)
    }

    @Test func belongsToOneDomain() async throws {
        let bench = Bench()
        _ = try await run(bench, domain)
        let error = await #expect(throws: SetupError.self) { try await run(bench, "other.tunnel.anthropic.com") }
        #expect(error?.reason.contains(domain) == true)
    }

    @Test(arguments: ["", "not a name", "*.tunnel.anthropic.com", "https://x"]) func refusesWhatIsNoName(_ text: String)
        async
    {
        let bench = Bench()
        await #expect(throws: SetupError.self) { try await run(bench, text) }
        #expect(bench.store.contents.isEmpty)
    }
}
