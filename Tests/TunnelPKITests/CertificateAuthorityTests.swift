import Foundation
import Testing

@testable import TunnelPKI

/// What we issue, read back by ourselves and by the `openssl` command.
@Suite struct CertificateAuthorityTests {
    static let domain = "abc123.tunnel.example"
    let now = Int64(Date().timeIntervalSince1970)

    @Test(arguments: KeyType.allCases.filter { $0 != .rsa4096 })
    func opensslAcceptsStrictly(_ keyType: KeyType) throws {
        let authority = try CertificateAuthority.generate(now: now)
        let server = try authority.issueServerIdentity(domain: Self.domain, keyType: keyType, now: now)
        let tool = try OpenSSLTool()
        try tool.write("ca.crt", authority.certificate.pem)
        try tool.write("tls.crt", server.certificate.pem)
        try tool.write("tls.key", server.key.pem)
        let checks = "-x509_strict -purpose sslserver -verify_hostname echo.\(Self.domain) -CAfile ca.crt"
        #expect(try tool.run("verify \(checks) tls.crt") == "tls.crt: OK\n")
        #expect(try tool.run("verify -x509_strict -check_ss_sig -CAfile ca.crt ca.crt") == "ca.crt: OK\n")
        let publicKey = try tool.run("pkey -in tls.key -pubout")
        #expect(try tool.run("x509 -in tls.crt -noout -pubkey") == publicKey)
        #expect(try tool.run("asn1parse -in tls.crt").contains("UTF8STRING"))
    }
}
