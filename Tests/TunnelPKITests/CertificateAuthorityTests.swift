import Foundation
import Testing

@testable import TunnelPKI

/// What we issue, read back by ourselves and by the `openssl` command.
@Suite struct CertificateAuthorityTests {
    static let domain = Mint.domain
    let now = Int64(Date().timeIntervalSince1970)

    @Test(arguments: KeyType.allCases)
    func opensslAcceptsStrictly(_ keyType: KeyType) throws {
        let ca = try CertificateAuthority.generate(now: now)
        let server = try ca.issueServerIdentity(domain: Self.domain, keyType: keyType, now: now)
        let tool = try OpenSSLTool()
        try tool.write("ca.crt", ca.certificate.pem)
        try tool.write("tls.crt", server.certificate.pem)
        try tool.write("tls.key", server.key.pem)
        let checks = "-x509_strict -purpose sslserver -verify_hostname echo.\(Self.domain) -CAfile ca.crt"
        #expect(try tool.run("verify \(checks) tls.crt") == "tls.crt: OK\n")
        #expect(try tool.run("verify -x509_strict -check_ss_sig -CAfile ca.crt ca.crt") == "ca.crt: OK\n")
        #expect(try tool.run("x509 -in tls.crt -noout -pubkey") == tool.run("pkey -in tls.key -pubout"))
    }

    /// Each extension as X.690 and RFC 5280 want it, by its bytes: object identifier, critical, value in an OCTET STRING.
    static let encodings: [(CertificateTemplate.Extension, String)] = [
        (.basicConstraints(isCA: true), "06 03 551d13 01 01 ff 04 05 30 03 01 01 ff"),
        (.basicConstraints(isCA: false), "06 03 551d13 01 01 ff 04 02 30 00"),
        (.basicConstraints(isCA: true, pathLength: 0), "06 03 551d13 01 01 ff 04 08 30 06 01 01 ff 02 01 00"),
        (
            .basicConstraints(isCA: true, pathLength: 200, isCritical: false),
            "06 03 551d13 04 09 30 07 01 01 ff 02 02 00 c8"
        ),
        (.keyUsage([.keyCertSign, .crlSign]), "06 03 551d0f 01 01 ff 04 04 03 02 01 06"),
        (.keyUsage([.digitalSignature, .keyEncipherment]), "06 03 551d0f 01 01 ff 04 04 03 02 05 a0"),
        (.keyUsage([.decipherOnly], isCritical: false), "06 03 551d0f 04 05 03 03 07 00 80"),
        (.keyUsage([.encipherOnly]), "06 03 551d0f 01 01 ff 04 04 03 02 00 01"),
        (.serverAuthentication, "06 03 551d25 04 0c 30 0a 06 08 2b06010505070301"),
        (
            .extendedKeyUsage(["1.2.840.113549", "2.5.29.37.0"]),
            "06 03 551d25 04 10 30 0e 06 06 2a864886f70d 06 04 551d2500"
        ),
        (.subjectKeyIdentifier([1, 2]), "06 03 551d0e 04 04 04 02 01 02"),
        (.authorityKeyIdentifier([1, 2]), "06 03 551d23 04 06 30 04 80 02 01 02"),
        (.subjectAlternativeNames(["a.b", "*.a"]), "06 03 551d11 04 0c 30 0a 82 03 612e62 82 03 2a2e61"),
        (.subjectAlternativeNames(["a"], isCritical: true), "06 03 551d11 01 01 ff 04 05 30 03 82 01 61"),
        (.init("1.2.3", isCritical: true, value: [5, 0]), "06 02 2a03 01 01 ff 04 02 05 00"),
    ]

    @Test(arguments: encodings) func encodesExtensions(_ row: (entry: CertificateTemplate.Extension, bytes: String))
        throws
    {
        let key = try PrivateKey.generate(.ecdsaP256)
        let template = CertificateTemplate(commonName: "x", notBefore: 0, notAfter: 1, extensions: [row.entry])
        let text = hexadecimal(try template.signed(for: key, issuer: nil, issuerKey: key).der)
        let body = row.bytes.replacing(" ", with: "")
        // The only extension of the certificate: a list [3] with one SEQUENCE that is exactly this long.
        let size = body.utf8.count / 2
        let expected = hexadecimal([0xA3, UInt8(size + 4), 0x30, UInt8(size + 2), 0x30, UInt8(size)]) + body
        #expect(text.contains(expected), "\(text)")
    }

    @Test func authorityIsAsPublished() throws {
        let ca = try CertificateAuthority.generate(now: Mint.now).certificate
        #expect(ca.subject == "CN=mcp-tunnel-ca" && ca.issuer == ca.subject)
        #expect(ca.extensions.basicConstraints == .init(isCritical: true, isCA: true, pathLength: nil))
        #expect(ca.extensions.keyUsage == [.keyCertSign, .crlSign])
        #expect(ca.keyAlgorithm == .ecdsa(curve: "P-256") && ca.signatureDigest == "SHA256")
        #expect(ca.notBefore == Mint.now - 300)
        #expect(UTCTime(ca.notAfter).description == "2032-01-15 08:00:00 UTC")
        #expect(ca.pem.count < 1_000)
    }

    @Test func serverIsAsPublished() throws {
        let ca = try CertificateAuthority.generate(now: Mint.now)
        let rsa = try ca.issueServerIdentity(domain: "ABC.Tunnel.Example", keyType: .rsa2048, now: Mint.now)
        #expect(rsa.certificate.matches(rsa.key))
        #expect(rsa.certificate.subject == "CN=abc.tunnel.example")
        #expect(rsa.certificate.dnsNames == ["abc.tunnel.example", "*.abc.tunnel.example"])
        #expect(rsa.certificate.extensions.keyUsage == [.digitalSignature, .keyEncipherment])
        #expect(rsa.certificate.extensions.extendedKeyUsage == ["1.3.6.1.5.5.7.3.1"])
        #expect(
            rsa.certificate.extensions.basicConstraints == .init(isCritical: true, isCA: false, pathLength: nil))
        #expect(
            rsa.certificate.extensions.authorityKeyIdentifier == ca.certificate.extensions.subjectKeyIdentifier)
        #expect(rsa.certificate.notBefore == Mint.now - 300 && rsa.certificate.notAfter == Mint.now + 90 * Mint.day)
        let ec = try ca.issueServerIdentity(domain: Self.domain, keyType: .ecdsaP384, now: Mint.now)
        #expect(ec.certificate.extensions.keyUsage == [.digitalSignature])
        #expect(ec.certificate.signatureDigest == "SHA256")
        let text = try OpenSSLTool()
        try text.write("c", rsa.certificate.pem)
        let printed = try text.run("x509 -in c -noout -text")
        for line in ["X509v3 Key Usage: critical", "X509v3 Basic Constraints: critical", "Version: 3 (0x2)"] {
            #expect(printed.contains(line))
        }
    }

    @Test func serialsAreRandomAndPositive() throws {
        let mint = try Mint()
        let serials = try (0..<64).map { _ in try mint.server().serial }
        #expect(Set(serials.map(\.description)).count == 64)
        #expect(serials.allSatisfy { !$0.isNegative && $0.bytes.count <= 16 })
        // Of 64 random numbers of 128 bits one has its top bit set, but for a chance of 2^-64.
        #expect(serials.contains { $0.bytes.count == 16 && $0.bytes[0] & 0x80 != 0 })
        #expect(serials.contains { $0.bytes.count == 16 && $0.bytes[0] & 0x80 == 0 })
    }

    @Test func namesAreTheCallersChoice() throws {
        let mint = try Mint()
        func names(_ wildcard: Bool, _ additional: [String]) throws -> [String] {
            try mint.ca.issueServerCertificate(
                domain: "t.example", key: mint.serverKey, now: Mint.now, includesWildcard: wildcard,
                additionalNames: additional
            ).dnsNames
        }
        #expect(try names(false, []) == ["t.example"])
        #expect(
            try names(true, ["T.example", "a.b.t.example", "*.b.t.example", "*.t.example"])
                == ["t.example", "*.t.example", "a.b.t.example", "*.b.t.example"])
        for bad in ["", "a,DNS:b", "a b", "*", "a..b"] {
            #expect(throws: PKIError(.invalidArgument, "")) { try names(true, [bad]) }
        }
    }

    @Test(arguments: ["", "*.t.example", "t.example.", "a b", "x\n.y", String(repeating: "a.", count: 126) + "aa"])
    func refusesDomains(_ domain: String) throws {
        let mint = try Mint()
        #expect(throws: PKIError(.invalidArgument, "")) {
            try mint.ca.issueServerCertificate(domain: domain, key: mint.serverKey, now: Mint.now)
        }
        // Not because of the wildcard that would be put in front.
        #expect(throws: PKIError(.invalidArgument, "")) {
            try mint.ca.issueServerCertificate(
                domain: domain, key: mint.serverKey, now: Mint.now, includesWildcard: false)
        }
    }

    /// A common name holds 64 characters. Above that the subject stays empty and the names become critical, as
    /// RFC 5280 §4.1.2.6 says.
    @Test func longDomainsLeaveTheSubjectEmpty() throws {
        let mint = try Mint()
        for count in [64, 65] {
            let domain = String(repeating: "a", count: 40) + "." + String(repeating: "b", count: count - 41)
            let certificate = try mint.ca.issueServerCertificate(
                domain: domain, key: mint.serverKey, now: Mint.now)
            #expect(certificate.subject == (count == 64 ? "CN=\(domain)" : ""))
            #expect(mint.checkServer(certificate, domain: domain).isEmpty)
            let tool = try OpenSSLTool()
            try tool.write("ca", mint.ca.certificate.pem)
            try tool.write("c", certificate.pem)
            try tool.run("verify -x509_strict -attime \(Mint.now) -CAfile ca -verify_hostname x.\(domain) c")
            #expect(try tool.run("x509 -in c -noout -text").contains("Alternative Name: critical") == (count == 65))
        }
    }

    @Test func neverOutlivesTheCA() throws {
        let ca = try CertificateAuthority.generate(now: Mint.now, validity: .seconds(10 * Mint.day))
        let key = try PrivateKey.generate(.ecdsaP256)
        let end = ca.certificate.notAfter
        func issue(at now: Int64) throws -> Certificate {
            try ca.issueServerCertificate(domain: Self.domain, key: key, now: now)
        }
        #expect(try issue(at: Mint.now).notAfter == end)
        #expect(try issue(at: end).notAfter == end)
        let error = #expect(throws: PKIError.self) { try issue(at: end + 1) }
        #expect(error?.code == .unsuitableCA && error?.reason.contains("2027-01-25 08:00:00 UTC") == true)
    }

    @Test(
        arguments: [
            (0, .zero), (0, .milliseconds(999)), (0, .seconds(-1)), (Int64.min, .seconds(1)), (Int64.max, .seconds(1)),
            (0, .seconds(Int64.max)), (253_402_300_799, .seconds(1)),
        ] as [(Int64, Duration)])
    func refusesDates(_ row: (now: Int64, validity: Duration)) throws {
        #expect(throws: PKIError(.invalidArgument, "")) {
            try CertificateAuthority.generate(now: row.now, validity: row.validity)
        }
    }

    /// Dates before 1950 and after 2049 take the long form (RFC 5280 §4.1.2.5).
    @Test func datesKeepTheirForm() throws {
        for now in [-700_000_000, 0, 2_524_607_999, 2_524_608_300, 200_000_000_000] as [Int64] {
            let certificate = try CertificateAuthority.generate(now: now, validity: .seconds(1)).certificate
            #expect(certificate.notBefore == now - 300 && certificate.notAfter == now + 1)
        }
    }

    @Test func commonNameHasItsLimit() throws {
        let longest = String(repeating: "ü", count: 64)
        #expect(try CertificateAuthority.generate(commonName: longest, now: 0).certificate.subject == "CN=" + longest)
        for name in ["", longest + "x"] {
            #expect(throws: PKIError(.invalidArgument, "")) {
                try CertificateAuthority.generate(commonName: name, now: 0)
            }
        }
    }

    @Test func refusesUnsuitableAuthorities() throws {
        let mint = try Mint()
        func code(_ certificate: Certificate, _ key: PrivateKey) -> PKIError.Code? {
            do { _ = try CertificateAuthority(certificate: certificate, key: key) } catch { return error.code }
            return nil
        }
        let key = mint.ca.key
        #expect(code(mint.ca.certificate, key) == nil)
        #expect(code(mint.ca.certificate, mint.serverKey) == .keyMismatch)
        #expect(code(try mint.server(), mint.serverKey) == .unsuitableCA)
        #expect(code(try mint.ca { $0.replace(OID.subjectKeyIdentifier) }, key) == .unsuitableCA)
        #expect(
            code(try mint.ca { $0.replace(OID.keyUsage, with: .keyUsage([.crlSign])) }, key)
                == .unsuitableCA)
        #expect(code(try mint.ca { $0.replace(OID.keyUsage) }, key) == nil)
        // It says that it may sign certificates, and not that it is a CA.
        #expect(
            code(try mint.ca { $0.replace(OID.basicConstraints, with: .basicConstraints(isCA: false)) }, key)
                == .unsuitableCA)
        #expect(code(try mint.ca { $0.replace(OID.basicConstraints) }, key) == .unsuitableCA)
    }
}
