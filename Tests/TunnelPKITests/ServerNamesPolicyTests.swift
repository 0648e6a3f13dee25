import Testing

@testable import TunnelPKI

@Suite struct ServerNamesPolicyTests {
    static let d = Mint.domain

    /// Names, hosts asked for, findings, and a piece of what is said.
    static let rows: [(names: [String], hosts: [String], expected: [String], says: String)] = [
        ([d, "*." + d], [], [], ""),
        (["*." + d], [], [], ""),
        (["*.ABC123.Tunnel.Example"], [], [], ""),
        (["*.other.example", "*." + d], [], [], ""),
        ([d], [], ["error server-names"], "it is good for \(d), the tunnel's domain is \(d)"),
        (["*.other.example"], [], ["error server-names"], "it is good for hosts one label below other.example"),
        (["*.tunnel.example"], [], ["error server-names"], "it is good for hosts one label below tunnel.example"),
        (["x" + d], [], ["error server-names"], "it is good for x\(d), the"),
        (["echo." + d, d], [], ["warning server-names"], "it is good only for echo.\(d); other routes"),
        (["*.a." + d], [], ["warning server-names"], "it is good only for hosts one label below a.\(d); other"),
        ([], [], ["error server-names"], "no subject alternative names (the subject CN=\(d) is not looked at)"),
        (["*." + d, "*"], [], ["warning server-names"], #"no peer can match the names "*""#),
        (["*.*." + d], [], ["warning server-names", "error server-names"], "no peer can match"),
        (["*." + d], ["echo." + d, "MEMORY." + d], [], ""),
        (["echo." + d], ["echo." + d], [], ""),
        (["*." + d], [d], ["error server-names"], "no name matches \(d); it is good for hosts one label below \(d)"),
        (["*." + d], ["a.b." + d, "echo." + d], ["error server-names"], "no name matches a.b.\(d);"),
        (
            ["echo." + d], ["echo." + d, "x." + d], ["error server-names"],
            "no name matches x.\(d); it is good for echo."
        ),
    ]

    @Test(arguments: rows)
    func judges(_ row: (names: [String], hosts: [String], expected: [String], says: String)) throws {
        let mint = try Mint()
        let server = try mint.server {
            let names = CertificateTemplate.Extension.subjectAlternativeNames(row.names)
            $0.replace(OID.subjectAlternativeName, with: row.names.isEmpty ? nil : names)
        }
        let findings = mint.findings(server, hosts: row.hosts)
        #expect(summary(findings) == row.expected)
        #expect(row.says.isEmpty || findings.contains { $0.found.contains(row.says) }, "\(findings)")
    }

    @Test func listsDeepHostsInTheRemedy() throws {
        let mint = try Mint()
        let finding = try #require(mint.findings(try mint.server(), hosts: ["a.b." + Self.d]).first)
        let d = Self.d
        #expect(
            finding.remedy == "with `subjectAltName=DNS:\(d),DNS:*.\(d),DNS:a.b.\(d)`, "
                + "issue a new server certificate from the registered CA")
    }

    @Test func namesOtherKindsOfNames() throws {
        let mint = try Mint()
        let server = try mint.server {
            let value = DER.sequence(DER.contextual(7, [10, 0, 0, 1]))
            $0.replace(
                OID.subjectAlternativeName, with: .init(OID.subjectAlternativeName, isCritical: false, value: value))
        }
        #expect(mint.findings(server).first?.found.hasPrefix("it has no DNS name, only IP:10.0.0.1") == true)
    }

    @Test(arguments: ["", "https://\(d)", "*." + d, d + ".", "a b"]) func refusesDomains(_ domain: String) throws {
        let mint = try Mint()
        let findings = mint.findings(try mint.server(), domain: domain)
        #expect(summary(findings) == ["error server-names"])
        #expect(findings.first?.found.contains(domain.debugDescription) == true)
        #expect(mint.checkServer(try mint.server(), hosts: [domain]).first == "error server-names")
    }
}
