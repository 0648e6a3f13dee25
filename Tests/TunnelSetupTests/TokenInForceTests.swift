import Testing
import TunnelAPI
import TunnelsAPIFake

@testable import TunnelSetup

/// A token that somebody has rotated in the Console: nothing in a store tells, so the API is asked.
@Suite struct TokenInForceTests {
    private func rotatedElsewhere() async throws -> (Bench, stored: String?) {
        let bench = Bench()
        try await bench.provision(Bench.options(version: "1"))
        let stored = bench.store.text(.tunnelToken)
        _ = try await bench.client.rotateToken(of: bench.api.tunnels[0].id)
        return (bench, stored)
    }

    @Test func isSaidAndNotReplacedUnasked() async throws {
        let (bench, stored) = try await rotatedElsewhere()
        let result = try await bench.provision(Bench.options(version: "1"))
        #expect(result.tokenAction == .kept && result.isTokenCurrent == false && !result.isChanged)
        #expect(bench.store.text(.tunnelToken) == stored)
        #expect(bench.told.contains { $0.contains("is not the one in force") && $0.contains("--refresh-token") })
    }

    @Test(arguments: [nil, "1", "2"]) func isFetchedWhereAskedFor(_ version: String?) async throws {
        let (bench, stored) = try await rotatedElsewhere()
        var options = Bench.options(version: version)
        options.refreshesToken = true
        let result = try await bench.provision(options)
        #expect(result.tokenAction == (version == "2" ? .rotated : .revealed) && result.isTokenCurrent == true)
        #expect(bench.store.text(.tunnelToken) != stored && bench.defects == [])
        #expect(bench.store.text(.tokenVersion) == version ?? "1")
        // And again, where it is the same.
        let again = try await bench.provision(options)
        #expect(again.tokenAction == .kept && !again.isChanged)
    }

    @Test func inForceIsNoWord() async throws {
        let bench = Bench()
        try await bench.provision()
        let count = bench.told.count
        #expect(try await bench.provision().isTokenCurrent == true)
        #expect(!bench.told.dropFirst(count).contains { $0.hasPrefix("note: ") })
    }

    /// The rest is worth having without it.
    @Test func comparisonThatFailsIsNoFailure() async throws {
        let bench = Bench()
        try await bench.provision()
        #expect(bench.api.fail(FakeFault(.refuse, "POST", "/v1/tunnels/*/reveal_token", times: 3)))
        let result = try await bench.provision()
        #expect(result.isTokenCurrent == nil && !result.isChanged)
        #expect(bench.told.contains { $0.hasPrefix("note: the stored tunnel token could not be compared") })
    }

    // MARK: verify --api

    private func problems(_ bench: Bench) async throws -> [String] {
        try await RegistrationCheck(client: try bench.client).check(bench.store.contents, at: "memory:").problems
    }

    @Test func checkComparesAll() async throws {
        let (bench, _) = try await rotatedElsewhere()
        #expect(try await problems(bench).map { $0.contains("--refresh-token") } == [true])
        let id = bench.api.tunnels[0].id
        let certificate = try #require(bench.api.certificates.first)
        _ = try await bench.client.archiveCertificate(certificate.id, of: id)
        #expect(
            try await problems(bench).first?.contains("was revoked, as \(certificate.id): run setup rotate-ca") == true)
        bench.store.put(.tunnelDomain, "other.example")
        #expect(try await problems(bench).first?.hasPrefix("tunnel-domain says other.example, and") == true)
        bench.store.put(.tunnelToken, nil)
        #expect(try await problems(bench).last == "there is no tunnel-token: run setup init")
        _ = try await bench.client.archiveTunnel(id)
        #expect(try await problems(bench) == ["tunnel \(id) is archived, which cannot be undone: make another one"])
        bench.store.put(.tunnelID, nil)
        await #expect(throws: SetupError.self) { try await problems(bench) }
    }

    @Test func checkHasNothingToSayOfWhatIsInOrder() async throws {
        let bench = Bench()
        try await bench.provision()
        #expect(try await problems(bench) == [])
        bench.store.put(.caCertificate, nil)
        bench.store.put(.caKey, nil)
        #expect(try await problems(bench) == [], "what is not there is told by the other checks")
    }
}
