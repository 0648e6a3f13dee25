import Testing
import TunnelCore
import TunnelPKI
import TunnelsAPIFake

@testable import TunnelSetup

/// The single rules are tested with the validator; here it is that each file is looked at and nothing absent passes.
@Suite struct CredentialCheckTests {
    private func good() async throws -> (CredentialCheck.Files, now: Int64) {
        let bench = Bench()
        _ = try await ManualCertificates(
            store: bench.store, domain: "t.example", options: ServerCertificateOptions(keyType: .ecdsaP256),
            context: bench.context
        ).run()
        return (CredentialCheck.Files(bench.store.contents), bench.api.now.seconds)
    }

    @Test func goodSetHasNoFinding() async throws {
        let (files, now) = try await good()
        let report = CredentialCheck(now: now).check(files)
        #expect(report.isGood && report.findings.isEmpty && report.ca != nil && report.serverCertificate != nil)
    }

    @Test func authoritysKeyMayBeElsewhere() async throws {
        var (files, now) = try await good()
        files.caKey = nil
        #expect(CredentialCheck(now: now).check(files).isGood)
    }

    @Test func nothingAbsentPasses() async throws {
        let (files, now) = try await good()
        let removals: [(WritableKeyPath<CredentialCheck.Files, [UInt8]?>, String)] = [
            (\.caCertificate, "ca.crt"), (\.serverCertificate, "tls.crt"), (\.serverKey, "tls.key"),
        ]
        for (path, name) in removals {
            var less = files
            less[keyPath: path] = nil
            let report = CredentialCheck(now: now).check(less)
            #expect(!report.isGood && report.missing.contains { $0.contains(name) }, "\(name)")
        }
        #expect(CredentialCheck(now: now).check(CredentialCheck.Files()).missing.count == 3)
    }

    /// A folder made with openssl has no file for it.
    @Test func domainMayBeTheCertificatesOwn() async throws {
        var (files, now) = try await good()
        let stored = CredentialCheck(now: now).check(files)
        #expect(stored.tunnelDomain == "t.example" && !stored.isDomainAssumed)
        files.tunnelDomain = nil
        let own = CredentialCheck(now: now).check(files)
        #expect(own.isGood && own.tunnelDomain == "t.example" && own.isDomainAssumed)
        // What is no domain is checked as such, and not repeated.
        files.tunnelDomain = "-----BEGIN PRIVATE KEY-----"
        let wrong = CredentialCheck(now: now).check(files)
        #expect(!wrong.isGood && wrong.tunnelDomain == nil && !wrong.isDomainAssumed)
    }

    @Test func eachFileIsLookedAt() async throws {
        let (files, now) = try await good()
        let (other, _) = try await good()
        let swaps: [(WritableKeyPath<CredentialCheck.Files, [UInt8]?>, Finding.Rule)] = [
            (\.caCertificate, .issuer), (\.caKey, .keyMatches), (\.serverCertificate, .issuer),
            (\.serverKey, .keyMatches),
        ]
        for (path, rule) in swaps {
            var mixed = files
            mixed[keyPath: path] = other[keyPath: path]
            let report = CredentialCheck(now: now).check(mixed)
            #expect(!report.isGood && report.findings.contains { $0.rule == rule }, "\(rule)")
        }
        var mixed = files
        mixed.tunnelDomain = "u.example"
        #expect(CredentialCheck(now: now).check(mixed).findings.contains { $0.rule == .names })
    }

    @Test func anEndThatComesTooSoonIsNotGood() async throws {
        let (files, now) = try await good()
        #expect(CredentialCheck(now: now, expiresWithin: .seconds(89 * 86_400)).check(files).isGood)
        let report = CredentialCheck(now: now, expiresWithin: .seconds(91 * 86_400)).check(files)
        #expect(!report.isGood && report.findings.map(\.rule) == [.expiresSoon])
    }
}
