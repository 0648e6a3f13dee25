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
    }
}
