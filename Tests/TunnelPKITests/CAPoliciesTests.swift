import Testing

@testable import TunnelPKI

/// The requirements of the upload, each missed once.
@Suite struct AuthorityPoliciesTests {
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
            $0.replace(OID.basicConstraints, with: .basicConstraints(isAuthority: true, isCritical: false))
        },
        Row(what: "CA:FALSE", expected: ["error ca-basic-constraints"]) {
            $0.replace(OID.basicConstraints, with: .basicConstraints(isAuthority: false))
            // With CA:FALSE keyCertSign would be a contradiction that OpenSSL reports by itself.
        },
        Row(what: "neither", expected: ["error ca-basic-constraints", "error ca-basic-constraints"]) {
            $0.replace(OID.basicConstraints, with: .basicConstraints(isAuthority: false, isCritical: false))
        },
        Row(what: "path length 0", expected: []) {
            $0.replace(OID.basicConstraints, with: .basicConstraints(isAuthority: true, pathLength: 0))
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
        Row(
            what: "nothing right",
            expected: ["error ca-basic-constraints", "error ca-subject-key-identifier", "error ca-key-usage"]
        ) { $0.extensions = [] },
    ]

    @Test(arguments: rows) func judges(_ row: Row) throws {
        let mint = try Mint()
        #expect(mint.checkAuthority(try mint.authority(row.edit)) == row.expected)
    }

    @Test func noticesBadSelfSignature() throws {
        let mint = try Mint()
        var damaged = mint.authority.certificate.der
        damaged[damaged.count - 1] ^= 1
        #expect(mint.checkAuthority(try Certificate(der: damaged)) == ["error ca-self-signature"])
    }

    /// A new key under the old name, signed by the old key, is no damage: it names the old key as its issuer's.
    @Test func allowsRollover() throws {
        let mint = try Mint()
        let old = try #require(mint.authority.certificate.extensions.subjectKeyIdentifier)
        let key = try PrivateKey.generate(.ecdsaP256)
        let rolled = try mint.server(key: key) {
            $0.commonName = "mcp-tunnel-ca"
            $0.extensions = [
                .basicConstraints(isAuthority: true), .keyUsage([.keyCertSign]), .authorityKeyIdentifier(old),
            ]
            if let identifier = try? key.keyIdentifier { $0.extensions.append(.subjectKeyIdentifier(identifier)) }
        }
        #expect(mint.checkAuthority(rolled).isEmpty)
    }
}
