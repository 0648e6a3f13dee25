import Testing
import TunnelCore
import TunnelsAPIFake

@testable import TunnelPKI
@testable import TunnelSetup

@Suite struct SharedTicketKeysTests {
    /// CA and server certificate made by hand.
    private func bench() async throws -> Bench {
        let bench = Bench()
        let result = try await ManualCertificates(
            store: bench.store, domain: "abcd1234.tunnel.anthropic.com",
            options: ServerCertificateOptions(keyType: .ecdsaP256), context: bench.context
        ).run()
        #expect(result.ticketKeys == .made)
        return bench
    }

    private func renew(_ bench: Bench) async throws -> CertificateRenewal.Result {
        try await CertificateRenewal(
            store: bench.store, options: ServerCertificateOptions(), renewBefore: .seconds(30 * 86_400),
            context: bench.context
        ).run()
    }

    private func keys(_ bench: Bench) throws -> [[UInt8]] {
        try TicketKeyFile(bench.store.contents[.ticketKeys] ?? []).keys
    }

    @Test func initMakesThemOnceAndAnswersForThem() async throws {
        let bench = Bench()
        #expect(try await bench.plan().steps.last == "make keys for session tickets")
        #expect(try await bench.provision().ticketKeys == .made)
        let before = try keys(bench)
        #expect(before.count == 3)
        let again = try await bench.provision()
        #expect(try again.ticketKeys == .kept && !again.isChanged && keys(bench) == before)
        #expect(try await bench.plan().steps.count == 4)
    }

    /// A store of an earlier version has none, and somebody may have spoilt them.
    @Test(arguments: [nil, "", "no keys"]) func whatCannotBeUsedIsMadeAnew(_ text: String?) async throws {
        for isRenewal in [true, false] {
            let bench = Bench()
            try await bench.provision()
            bench.store.put(.ticketKeys, text.map { Array($0.utf8) })
            let action = isRenewal ? try await renew(bench).ticketKeys : try await bench.provision().ticketKeys
            #expect(try action == .made && keys(bench).count == 3)
            #expect(bench.store.history.last == [.ticketKeys])
        }
    }

    /// Seconds that have passed since, and whether a run rotates. The certificate is due where the clock went back behind it.
    @Test(
        arguments: [
            (0, false), (71_999, false), (72_000, true), (86_400, true), (-3_600, false), (-72_000, true),
        ] as [(Int, Bool)])
    func rotateOnceADay(_ seconds: Int, _ isRotated: Bool) async throws {
        let bench = try await bench()
        let before = try keys(bench)
        bench.api.advance(bySeconds: seconds)
        let result = try await renew(bench)
        #expect(result.isRenewed == (seconds < 0) && result.ticketKeys == (isRotated ? .rotated : .kept))
        let after = try keys(bench)
        #expect(isRotated ? after.prefix(2) == before.suffix(2) && after != before : after == before)
        #expect(try await renew(bench).ticketKeys == .kept, "a second run is too soon for proxies that read it late")
    }

    @Test func keysThatSomebodyMadeByHandAreTakenUp() async throws {
        let bench = try await bench()
        let before = try keys(bench)
        let lines = String(decoding: bench.store.contents[.ticketKeys] ?? [], as: UTF8.self).split(separator: "\n")
        bench.store.put(.ticketKeys, lines.suffix(3).joined(separator: "\n"))
        #expect(try await renew(bench).ticketKeys == .rotated)
        #expect(try keys(bench).prefix(2) == before.suffix(2))
    }

    /// Certificate and keys change in one step; where the certificate cannot, the keys do.
    @Test(arguments: [true, false]) func goWithTheCertificateAndWithoutIt(_ hasKey: Bool) async throws {
        let bench = try await bench()
        let before = try keys(bench)
        if !hasKey { bench.store.put(.caKey, [UInt8]?.none) }
        bench.api.advance(bySeconds: 80 * 86_400)
        let history = bench.store.history.count
        if hasKey {
            let result = try await renew(bench)
            #expect(result.isRenewed && result.ticketKeys == .rotated)
            #expect(bench.store.history.last == [.serverCertificate, .serverKey, .ticketKeys])
        } else {
            let error = await #expect(throws: SetupError.self) { try await renew(bench) }
            #expect(error?.reason.contains("ca.key is not there") == true)
            #expect(bench.store.history.last == [.ticketKeys])
        }
        #expect(try bench.store.history.count == history + 1 && keys(bench).prefix(2) == before.suffix(2))
    }

    @Test func anotherTunnelGetsOthers() async throws {
        let bench = Bench()
        try await bench.provision()
        let before = try keys(bench)
        let other = bench.api.makeTunnel(displayName: "other")
        let result = try await bench.provision(Bench.options(tunnelID: other.id))
        #expect(try result.ticketKeys == .made && Set(keys(bench)).isDisjoint(with: before))
    }
}
