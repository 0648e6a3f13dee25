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
        (["*.a." + d], [], ["error server-names"], "it is good for hosts one label below a.\(d), the tunnel's domain"),
        (["*.a." + d, "echo." + d], [], ["warning server-names"], "it is good only for echo.\(d); other routes"),
        (["*.a." + d], ["x.a." + d], [], ""),
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
                + "issue a new server certificate from the registered CA (setup renew-cert)")
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

/// Who signed the server's certificate, and does it say so.
@Suite struct IssuerPolicyTests {
    let mint: Mint

    init() throws { mint = try Mint() }

    private func found(_ certificate: Certificate, ca: Certificate? = nil) -> [String] {
        mint.findings(certificate, ca: ca).map { "\($0.rule): \($0.found)" }
    }

    @Test func namesAnotherIssuer() throws {
        let other = try CertificateAuthority.generate(commonName: "other-ca", now: Mint.now)
        let server = try mint.server(issuer: other.certificate, issuerKey: other.key)
        #expect(mint.checkServer(server) == ["error server-issuer", "error server-authority-key-identifier"])
        #expect(found(server).first == #"server-issuer: its issuer is "CN=other-ca", the CA is "CN=mcp-tunnel-ca""#)
    }

    @Test func recognisesARegeneratedCA() throws {
        let again = try CertificateAuthority.generate(now: Mint.now)
        let findings = mint.findings(try mint.server(), ca: again.certificate)
        #expect(summary(findings) == ["error server-issuer", "error server-authority-key-identifier"])
        #expect(findings.first?.found.contains("another key signed it") == true)
        #expect(findings.first?.remedy.contains("made anew") == true)
    }

    @Test func noticesWrongIssuerName() throws {
        let renamed = try mint.ca { $0.commonName = "renamed" }
        let server = try mint.server(issuer: renamed)
        #expect(mint.checkServer(server) == ["error server-issuer"])
        #expect(
            found(server).first?.contains(#"names "CN=renamed" as issuer and the CA is "CN=mcp-tunnel-ca""#) == true)
    }

    /// RFC 5280 §7.1 calls these names equal; who compares bytes does not.
    @Test func noticesOtherSpellingOfTheIssuer() throws {
        let shouted = try mint.ca { $0.commonName = "MCP-Tunnel-CA" }
        let server = try mint.server(issuer: shouted)
        #expect(mint.checkServer(server) == ["error server-issuer"])
        #expect(found(server).first?.contains("the CA writes its name otherwise") == true)
    }

    @Test func recognisesSelfSigned() throws {
        let lone = try mint.ca(key: mint.serverKey) {
            $0.commonName = Mint.domain
            $0.extensions = [.subjectAlternativeNames(["*." + Mint.domain])]
        }
        #expect(mint.checkServer(lone) == ["error server-issuer", "error server-authority-key-identifier"])
        #expect(found(lone).first == "server-issuer: it is self-signed")
    }

    @Test func recognisesTheCAItself() throws {
        #expect(found(mint.ca.certificate).first == "server-issuer: it is the CA's own certificate")
    }

    @Test func recognisesIntermediates() throws {
        let key = try PrivateKey.generate(.ecdsaP256)
        let intermediate = try mint.server(key: key) {
            $0.commonName = "intermediate"
            $0.replace(OID.basicConstraints, with: .basicConstraints(isCA: true))
            $0.replace(OID.keyUsage, with: .keyUsage([.keyCertSign]))
        }
        let leaf = try mint.server(issuer: intermediate, issuerKey: key)
        let findings = CertificateRequirements(now: Mint.now).checkServer(
            file: leaf.pem + intermediate.pem, caFile: mint.ca.certificate.pem, tunnelDomain: Mint.domain)
        #expect(
            summary(findings) == [
                "warning single-certificate", "error server-intermediates", "error server-authority-key-identifier",
            ])
        #expect(findings.contains { $0.found.contains(#""CN=intermediate""#) })
    }

    /// A leaf that the CA signed is right even with the CA's certificate behind it, which is merely of no use.
    @Test func allowsTheCABehindTheLeaf() throws {
        let findings = CertificateRequirements(now: Mint.now).checkServer(
            file: try mint.server().pem + mint.ca.certificate.pem,
            caFile: mint.ca.certificate.pem, tunnelDomain: Mint.domain)
        #expect(summary(findings) == ["warning single-certificate"])
    }

    @Test func comparesKeyIdentifiers() throws {
        let absent = try mint.server { $0.replace(OID.authorityKeyIdentifier) }
        #expect(mint.checkServer(absent) == ["error server-authority-key-identifier"])
        let different = try mint.server {
            $0.replace(OID.authorityKeyIdentifier, with: .authorityKeyIdentifier([0xAB, 0x01]))
        }
        #expect(mint.checkServer(different) == ["error server-authority-key-identifier"])
        #expect(
            found(different).first?.contains("AuthorityKeyIdentifier is ab:01, the CA's SubjectKeyIdentifier is ")
                == true)
        // An issuer and serial, but no keyid: the extension is there and the field is not.
        let withoutKey = try mint.server {
            $0.replace(
                OID.authorityKeyIdentifier,
                with: .init(OID.authorityKeyIdentifier, isCritical: false, value: [0x30, 0x00]))
        }
        #expect(mint.checkServer(withoutKey) == ["error server-authority-key-identifier"])
        // The right keyid, and a serial number of another certificate beside it.
        let identifier = try #require(mint.ca.certificate.extensions.subjectKeyIdentifier)
        let otherSerial = try mint.server {
            let value = DER.sequence(
                DER.contextual(0, identifier), DER.element(0xA1, DER.element(0xA4, DER.sequence())),
                DER.contextual(2, [1]))
            $0.replace(
                OID.authorityKeyIdentifier,
                with: .init(OID.authorityKeyIdentifier, isCritical: false, value: value))
        }
        #expect(mint.checkServer(otherSerial) == ["error server-authority-key-identifier"])
        #expect(found(otherSerial).first?.contains("the keyid in AuthorityKeyIdentifier is the CA's, but") == true)
    }

    @Test func needsTheCAsKeyIdentifier() throws {
        let bare = try mint.ca { $0.replace(OID.subjectKeyIdentifier) }
        let findings = mint.findings(try mint.server(), ca: bare)
        #expect(summary(findings) == ["error server-authority-key-identifier"])
        #expect(findings.first?.found == "the CA has no SubjectKeyIdentifier to compare with")
    }

    @Test func honoursNameConstraints() throws {
        // NameConstraints ::= SEQUENCE { permittedSubtrees [0] { { dNSName [2] "other.example" } } }
        let subtree = DER.sequence(DER.contextual(2, bytes("other.example")))
        let constraint = CertificateTemplate.Extension(
            OID.nameConstraints, isCritical: true, value: DER.sequence(DER.element(0xA0, subtree)))
        let ca = try mint.ca { $0.extensions.append(constraint) }
        #expect(mint.checkCA(ca).isEmpty)
        #expect(mint.checkServer(try mint.server(), ca: ca) == ["error ca-name-constraints"])
        let inside = try mint.server {
            $0.commonName = "other.example"
            $0.replace(OID.subjectAlternativeName, with: .subjectAlternativeNames(["*.other.example"]))
        }
        #expect(mint.checkServer(inside, ca: ca, domain: "other.example").isEmpty)
    }
}

@Suite struct ServerUsagePoliciesTests {
    static let server = "1.3.6.1.5.5.7.3.1"
    static let client = "1.3.6.1.5.5.7.3.2"
    static let any = "2.5.29.37.0"

    @Test(
        arguments: [
            (nil, []), ([server], []), ([client, server], []), ([client], ["error server-extended-key-usage"]),
            ([any], ["error server-extended-key-usage"]), ([any, server], []),
        ] as [([String]?, [String])])
    func judgesExtendedKeyUsage(_ row: (purposes: [String]?, expected: [String])) throws {
        let mint = try Mint()
        let server = try mint.server {
            $0.replace(OID.extendedKeyUsage, with: row.purposes.map { .extendedKeyUsage($0) })
        }
        #expect(mint.checkServer(server) == row.expected)
    }

    @Test(
        arguments: [
            (nil, []), ([.digitalSignature], []), ([.digitalSignature, .keyEncipherment], []),
            ([.keyEncipherment], ["warning server-key-usage"]), ([.keyAgreement], ["warning server-key-usage"]),
            ([.keyCertSign], ["error server-key-usage"]), ([.crlSign], ["error server-key-usage"]),
            ([.nonRepudiation], ["error server-key-usage"]), ([.dataEncipherment], ["error server-key-usage"]),
            ([.nonRepudiation, .digitalSignature], []),
        ] as [(CertificateExtensions.KeyUsage?, [String])])
    func judgesKeyUsage(_ row: (usage: CertificateExtensions.KeyUsage?, expected: [String])) throws {
        let mint = try Mint()
        let server = try mint.server { $0.replace(OID.keyUsage, with: row.usage.map { .keyUsage($0) }) }
        #expect(mint.checkServer(server) == row.expected)
    }

    @Test func warnsOfAuthorities() throws {
        let mint = try Mint()
        let ca = try mint.server { $0.replace(OID.basicConstraints, with: .basicConstraints(isCA: true)) }
        #expect(mint.checkServer(ca) == ["warning server-not-authority"])
        #expect(mint.checkServer(try mint.server { $0.replace(OID.basicConstraints) }).isEmpty)
    }
}
