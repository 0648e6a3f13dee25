import Testing

@testable import TunnelPKI

@Suite struct ServerUsagePoliciesTests {
    static let server = "1.3.6.1.5.5.7.3.1"
    static let client = "1.3.6.1.5.5.7.3.2"
    static let any = "2.5.29.37.0"

    @Test(
        arguments: [
            (nil, []), ([server], []), ([client, server], []), ([client], ["error server-extended-key-usage"]),
            ([any], ["warning server-extended-key-usage"]),
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
            ([.keyEncipherment], ["warning server-key-usage"]),
        ] as [(CertificateExtensions.KeyUsage?, [String])])
    func judgesKeyUsage(_ row: (usage: CertificateExtensions.KeyUsage?, expected: [String])) throws {
        let mint = try Mint()
        let server = try mint.server { $0.replace(OID.keyUsage, with: row.usage.map { .keyUsage($0) }) }
        #expect(mint.checkServer(server) == row.expected)
    }

    @Test func warnsOfAuthorities() throws {
        let mint = try Mint()
        let authority = try mint.server { $0.replace(OID.basicConstraints, with: .basicConstraints(isAuthority: true)) }
        #expect(mint.checkServer(authority) == ["warning server-not-authority"])
        #expect(mint.checkServer(try mint.server { $0.replace(OID.basicConstraints) }).isEmpty)
    }
}
