import Testing
import TunnelAPI
import TunnelPKI
import TunnelsAPIFake

@testable import TunnelSetup

/// A store that comes to belong to another tunnel: what is kept of the first, what is said, and the way back.
@Suite struct OldCATests {
    private struct Moved {
        let bench: Bench
        let first: FakeTunnel
        let second: FakeTunnel
        let before: StoreContents
    }

    private func moved() async throws -> Moved {
        let bench = Bench()
        let (first, second) = (bench.api.makeTunnel(displayName: "a"), bench.api.makeTunnel(displayName: "b"))
        try await bench.provision(Bench.options(tunnelID: first.id))
        let before = bench.store.contents
        try await bench.provision(Bench.options(tunnelID: second.id))
        return Moved(bench: bench, first: first, second: second, before: before)
    }

    @Test func isKeptAndNamed() async throws {
        let moved = try await moved()
        let contents = moved.bench.store.contents
        #expect(moved.bench.defects == [] && contents.text(.tunnelID) == moved.second.id)
        #expect(
            contents[.oldCACertificate] == moved.before[.caCertificate] && contents[.oldCAKey] == moved.before[.caKey])
        #expect(contents.text(.oldTunnelID) == moved.first.id && StoreKey.oldCAKey.isSecret)
        let fingerprint = try Certificate(pem: try #require(moved.before[.caCertificate])).fingerprint
        let told = moved.bench.told
        #expect(told.contains { $0.contains("changes from \(moved.first.domain) to \(moved.second.domain)") })
        #expect(
            told.contains {
                $0.contains(fingerprint) && $0.contains("stays registered") && $0.contains("--drop-old-ca")
            })
        // It stays registered, and once more changes nothing.
        #expect(moved.bench.api.certificates.count { $0.archivedAt == nil } == 2)
        #expect(try await !moved.bench.provision(Bench.options(tunnelID: moved.second.id)).isChanged)
    }

    @Test func isUsedAgainOnTheWayBack() async throws {
        let moved = try await moved()
        let between = moved.bench.store.contents
        let result = try await moved.bench.provision(Bench.options(tunnelID: moved.first.id))
        let contents = moved.bench.store.contents
        #expect(moved.bench.defects == [] && result.caAction == .registered)
        #expect(contents[.caCertificate] == moved.before[.caCertificate] && contents[.caKey] == moved.before[.caKey])
        #expect(contents.text(.oldTunnelID) == moved.second.id && contents[.oldCAKey] == between[.caKey])
        #expect(moved.bench.api.certificates.count == 2, "no third one is made")
    }

    @Test func isNotUsedWhereItWasRevoked() async throws {
        let moved = try await moved()
        let old = try #require(moved.bench.api.certificates.first { $0.tunnelID == moved.first.id })
        _ = try await moved.bench.client.archiveCertificate(old.id, of: moved.first.id)
        let result = try await moved.bench.provision(Bench.options(tunnelID: moved.first.id))
        #expect(result.caAction == .generated && moved.bench.defects == [])
    }

    @Test func isLetGoWhenToldSo() async throws {
        let moved = try await moved()
        var options = Bench.options(tunnelID: moved.second.id)
        options.dropsOldCA = true
        #expect(try await moved.bench.provision(options).isChanged)
        let contents = moved.bench.store.contents
        #expect(contents[.oldTunnelID] == nil && contents[.oldCACertificate] == nil && contents[.oldCAKey] == nil)
        #expect(try await !moved.bench.provision(options).isChanged && moved.bench.defects == [])
    }

    /// There is room for one.
    @Test func isNotLostToAThirdTunnel() async throws {
        let moved = try await moved()
        let third = moved.bench.api.makeTunnel(displayName: "c")
        let before = moved.bench.store.contents.everything
        let error = await #expect(throws: SetupError.self) {
            try await moved.bench.provision(Bench.options(tunnelID: third.id))
        }
        #expect(error?.reason.contains(moved.first.id) == true && error?.remedy.contains("--drop-old-ca") == true)
        #expect(moved.bench.store.contents.everything == before)
        var options = Bench.options(tunnelID: third.id)
        options.dropsOldCA = true
        // Nor is it used there, where it never was.
        #expect(try await moved.bench.provision(options).caAction == .generated)
        #expect(moved.bench.store.contents[.caCertificate] != moved.before[.caCertificate])
        #expect(moved.bench.store.text(.oldTunnelID) == moved.second.id && moved.bench.defects == [])
    }
}
