import Testing

@testable import TunnelPKI

/// The requirements of the upload, each missed once.
@Suite struct CAPoliciesTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let what: String
        let expected: [String]
        let edit: @Sendable (inout CertificateTemplate) -> Void
        var testDescription: String { what }
    }

    static let rows = [
        Row(what: "nothing", expected: []) { _ in },
        Row(what: "no BasicConstraints", expected: ["error ca-basic-constraints"]) { $0.replace(OID.basicConstraints) },
        Row(what: "not critical", expected: ["error ca-basic-constraints"]) {
            $0.replace(OID.basicConstraints, with: .basicConstraints(isCA: true, isCritical: false))
        },
        Row(what: "CA:FALSE", expected: ["error ca-basic-constraints"]) {
            $0.replace(OID.basicConstraints, with: .basicConstraints(isCA: false))
            // With CA:FALSE keyCertSign would be a contradiction that OpenSSL reports by itself.
        },
        Row(what: "neither", expected: ["error ca-basic-constraints", "error ca-basic-constraints"]) {
            $0.replace(OID.basicConstraints, with: .basicConstraints(isCA: false, isCritical: false))
        },
        Row(what: "path length 0", expected: []) {
            $0.replace(OID.basicConstraints, with: .basicConstraints(isCA: true, pathLength: 0))
        },
        Row(what: "no SubjectKeyIdentifier", expected: ["error ca-subject-key-identifier"]) {
            $0.replace(OID.subjectKeyIdentifier)
        },
        Row(what: "empty SubjectKeyIdentifier", expected: ["error ca-subject-key-identifier"]) {
            $0.replace(OID.subjectKeyIdentifier, with: .subjectKeyIdentifier([]))
        },
        Row(what: "no KeyUsage", expected: ["error ca-key-usage"]) { $0.replace(OID.keyUsage) },
        Row(what: "no keyCertSign", expected: ["error ca-key-usage"]) {
            $0.replace(OID.keyUsage, with: .keyUsage([.crlSign, .digitalSignature]))
        },
        Row(what: "keyCertSign alone, not critical", expected: []) {
            $0.replace(OID.keyUsage, with: .keyUsage([.keyCertSign], isCritical: false))
        },
        Row(what: "for clients", expected: ["error ca-extended-key-usage"]) {
            $0.extensions.append(.extendedKeyUsage(["1.3.6.1.5.5.7.3.2"]))
        },
        Row(what: "for any purpose", expected: ["error ca-extended-key-usage"]) {
            $0.extensions.append(.extendedKeyUsage(["2.5.29.37.0"]))
        },
        Row(what: "for clients and servers", expected: []) {
            $0.extensions.append(.extendedKeyUsage(["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"]))
        },
        Row(
            what: "nothing right",
            expected: ["error ca-basic-constraints", "error ca-subject-key-identifier", "error ca-key-usage"]
        ) { $0.extensions = [] },
    ]

    @Test(arguments: rows) func judges(_ row: Row) throws {
        let mint = try Mint()
        #expect(mint.checkCA(try mint.ca(row.edit)) == row.expected)
    }

    @Test func noticesBadSelfSignature() throws {
        let mint = try Mint()
        var damaged = mint.ca.certificate.der
        damaged[damaged.count - 1] ^= 1
        #expect(mint.checkCA(try Certificate(der: damaged)) == ["error ca-self-signature"])
    }

    /// A new key under the old name, signed by the old key: no damage, but no root either.
    @Test func refusesRollover() throws {
        let mint = try Mint()
        let old = try #require(mint.ca.certificate.extensions.subjectKeyIdentifier)
        let key = try PrivateKey.generate(.ecdsaP256)
        let rolled = try mint.server(key: key) {
            $0.commonName = "mcp-tunnel-ca"
            $0.extensions = [
                .basicConstraints(isCA: true), .keyUsage([.keyCertSign]), .authorityKeyIdentifier(old),
            ]
            if let identifier = try? key.keyIdentifier { $0.extensions.append(.subjectKeyIdentifier(identifier)) }
        }
        let findings = CertificateRequirements(now: Mint.now).checkCA(file: rolled.pem)
        #expect(summary(findings) == ["error ca-self-signature"])
        #expect(findings.first?.found == "another key of the same name signed it")
    }

    @Test func refusesIntermediates() throws {
        let mint = try Mint()
        let key = try PrivateKey.generate(.ecdsaP256)
        let middle = try mint.server(key: key) {
            $0.commonName = "middle"
            $0.replace(OID.basicConstraints, with: .basicConstraints(isCA: true))
            $0.replace(OID.keyUsage, with: .keyUsage([.keyCertSign]))
        }
        let findings = CertificateRequirements(now: Mint.now).checkCA(file: middle.pem)
        #expect(summary(findings) == ["error ca-self-signature"])
        #expect(findings.first?.found == #"it was issued by "CN=mcp-tunnel-ca", and is itself "CN=middle""#)
    }

    /// The upload is read by others than the proxy, who know no lone CR.
    @Test func refusesLoneCarriageReturns() throws {
        let mint = try Mint()
        let text = String(decoding: mint.ca.certificate.pem, as: UTF8.self)
        let check = { (file: String) in summary(CertificateRequirements(now: Mint.now).checkCA(file: bytes(file))) }
        #expect(check(text.replacing("\n", with: "\r")) == ["error pem"])
        #expect(check(text.replacing("\n", with: "\r\n")) == [])
        #expect(check(text.replacing("\n", with: "\r\r\n")) == [])
        let server = String(decoding: try mint.server().pem, as: UTF8.self).replacing("\n", with: "\r")
        let findings = CertificateRequirements(now: Mint.now).checkServer(
            file: bytes(server), caFile: mint.ca.certificate.pem, tunnelDomain: Mint.domain)
        #expect(findings.isEmpty)
    }
}
