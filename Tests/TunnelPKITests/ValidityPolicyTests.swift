import Testing

@testable import TunnelPKI

/// Dates at their edges: the first and the last second are valid.
@Suite struct ValidityPolicyTests {
    static let end = Mint.now + 90 * Mint.day

    @Test(arguments: [
        (Mint.now - 301, ["error currently-valid"]), (Mint.now - 300, []), (Mint.now, []), (end, []),
        (end + 1, ["error currently-valid"]), (Int64.min, ["error currently-valid"]),
    ])
    func judgesServer(_ row: (now: Int64, expected: [String])) throws {
        let mint = try Mint()
        #expect(mint.checkServer(try mint.server(), now: row.now) == row.expected)
    }

    @Test func judgesAuthority() throws {
        let mint = try Mint()
        let last = mint.authority.certificate.notAfter
        #expect(mint.checkAuthority(mint.authority.certificate, now: last).isEmpty)
        #expect(mint.checkAuthority(mint.authority.certificate, now: last + 1) == ["error currently-valid"])
        #expect(mint.checkAuthority(mint.authority.certificate, now: .max) == ["error currently-valid"])
    }

    @Test func saysWhen() throws {
        let mint = try Mint()
        let expired = try #require(mint.findings(try mint.server(), now: Self.end + 60).first)
        #expect(expired.found == "it expired at 2027-04-15 08:00:00 UTC; it is now 2027-04-15 08:01:00 UTC")
        #expect(expired.remedy == "issue a new server certificate from the registered CA")
        let early = try #require(mint.findings(try mint.server(), now: 0).first)
        #expect(early.found == "it is not valid before 2027-01-15 07:55:00 UTC; it is now 1970-01-01 00:00:00 UTC")
    }

    @Test(
        arguments: [
            (30 * Mint.day, 30 * Mint.day - 1, nil), (30 * Mint.day, 30 * Mint.day, "30 days"),
            (7_200, 7_200, "2 hours"),
            (7_199, 7_200, "7199 seconds"), (0, 0, nil), (0, 1, "0 seconds"), (5, -1, nil), (5, .max, "5 seconds"),
        ] as [(Int64, Int64, String?)])
    func warnsInTime(_ row: (left: Int64, warning: Int64, span: String?)) throws {
        let requirements = CertificateRequirements(now: Self.end - row.left, expiryWarning: .seconds(row.warning))
        let mint = try Mint()
        let findings = requirements.checkServer(
            file: try mint.server().pem, authorityFile: mint.authority.certificate.pem, tunnelDomain: Mint.domain)
        #expect(summary(findings) == (row.span == nil ? [] : ["warning expires-soon"]))
        if let span = row.span { #expect(findings.first?.found.hasSuffix("in \(span)") == true) }
    }

    @Test func noticesOutlivedAuthority() throws {
        let mint = try Mint()
        let end = mint.authority.certificate.notAfter
        #expect(mint.checkServer(try mint.server { $0.notAfter = end }).isEmpty)
        #expect(mint.checkServer(try mint.server { $0.notAfter = end + 1 }) == ["warning server-outlives-ca"])
    }
}
