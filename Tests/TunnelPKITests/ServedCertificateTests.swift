import Testing

@testable import TunnelPKI

@Suite struct ServedCertificateTests {
    private static let d = Mint.domain

    private func check(
        _ domain: String? = d, hosts: [String] = [], later: Int64 = 0, edit: Mint.Edit = { _ in }
    ) throws -> [String] {
        let requirements = CertificateRequirements(now: Mint.now + later, expiryWarning: .seconds(30 * Mint.day))
        return summary(requirements.checkServed(try Mint().server(edit), tunnelDomain: domain, hosts: hosts))
    }

    private func without(_ extensionID: String) -> Mint.Edit { { $0.replace(extensionID) } }

    @Test func aGoodOneHasNoFindings() throws {
        #expect(try check() == [])
        #expect(try check(nil) == [])
        #expect(try check(hosts: ["echo.\(Self.d)", "123.\(Self.d)", "my_tool.\(Self.d)"]) == [])
    }

    @Test func namesAreHeldAgainstDomainAndHosts() throws {
        #expect(try check("other.example") == ["error server-names"])
        #expect(try check(hosts: ["a.b.\(Self.d)"]) == ["error server-names"])
        let nameless = without(OID.subjectAlternativeName)
        #expect(try check(edit: nameless) == ["error server-names"])
        #expect(try check(nil, edit: nameless) == ["error server-names"])
        // What is no DNS name is as good as none.
        #expect(try check("not a domain", edit: nameless) == ["error server-names"])
    }

    @Test(
        arguments: [
            (-301, ["error currently-valid"]), (60 * Mint.day - 1, []), (60 * Mint.day, ["warning expires-soon"]),
            (90 * Mint.day, ["warning expires-soon"]), (90 * Mint.day + 1, ["error currently-valid"]),
        ] as [(Int64, [String])])
    func timeIsLookedAt(_ later: Int64, _ expected: [String]) throws {
        #expect(try check(later: later) == expected)
    }

    /// Neither the CA nor the form of a file is known here; the rest of the rules hold.
    @Test func otherRulesHold() throws {
        #expect(try check(edit: without(OID.authorityKeyIdentifier)) == ["error server-authority-key-identifier"])
        #expect(
            try check { $0.replace(OID.basicConstraints, with: .basicConstraints(isCA: true)) } == [
                "warning server-not-authority"
            ])
    }

    /// `printf abc | sha256sum`
    @Test func knowsBytesByTheirDigest() throws {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        #expect(hexadecimal(try bytes("abc").sha256()) == digest)
    }
}
