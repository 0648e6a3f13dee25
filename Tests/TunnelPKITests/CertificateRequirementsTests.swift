import Foundation
import Testing

@testable import TunnelPKI

/// What must pass, what comes together, and pairs of key and certificate.
@Suite struct CertificateRequirementsTests {
    /// The manual recipe of the documentation, word for word, passes without a finding.
    @Test func manualRecipePasses() throws {
        let domain = Mint.domain
        let tool = try OpenSSLTool()
        try tool.run(
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 3650 -subj /CN=mcp-tunnel-ca"
                + " -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign"
                + " -addext subjectKeyIdentifier=hash")
        try tool.write(
            "tls.ext",
            """
            subjectAltName = DNS:\(domain),DNS:*.\(domain)
            authorityKeyIdentifier = keyid,issuer
            extendedKeyUsage = serverAuth

            """)
        try tool.run("req -newkey rsa:2048 -nodes -keyout tls.key -out server.csr -subj /CN=\(domain)")
        try tool.run(
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out tls.crt -days 90 -extfile tls.ext")
        let requirements = CertificateRequirements(
            now: Int64(Date().timeIntervalSince1970) + 5, expiryWarning: .seconds(60))
        #expect(requirements.checkCA(file: try tool.read("ca.crt")).isEmpty)
        let server = try tool.read("tls.crt")
        #expect(
            requirements.checkServer(
                file: server, caFile: try tool.read("ca.crt"), tunnelDomain: domain, hosts: ["echo." + domain]
            ).isEmpty)
        #expect(requirements.checkKey(file: try tool.read("tls.key"), certificateFile: server).isEmpty)
        // The manual CA goes on to issue with our code.
        let ca = try CertificateAuthority(
            certificate: Certificate(pem: tool.read("ca.crt")), key: PrivateKey(pem: tool.read("ca.key")))
        let renewed = try ca.issueServerCertificate(
            domain: domain, key: PrivateKey(pem: tool.read("tls.key")), now: requirements.now)
        #expect(
            requirements.checkServer(
                file: renewed.pem, caFile: ca.certificate.pem, tunnelDomain: domain
            ).isEmpty)
    }

    @Test(arguments: KeyType.allCases.filter { $0 != .rsa4096 }) func oursPass(_ keyType: KeyType) throws {
        let ca = try CertificateAuthority.generate(now: Mint.now, keyType: keyType)
        let server = try ca.issueServerIdentity(domain: Mint.domain, keyType: keyType, now: Mint.now)
        let requirements = CertificateRequirements(now: Mint.now, expiryWarning: .seconds(89 * Mint.day))
        #expect(requirements.checkCA(file: ca.certificate.pem).isEmpty)
        #expect(
            requirements.checkServer(
                file: server.certificate.pem, caFile: ca.certificate.pem, tunnelDomain: Mint.domain
            ).isEmpty)
        #expect(requirements.checkKey(file: try server.key.pem, certificateFile: server.certificate.pem).isEmpty)
    }

    /// All that is wrong is told at once.
    @Test func reportsEverythingAtOnce() throws {
        let mint = try Mint()
        let weak = try PrivateKey.generate(rsaBits: 1024)
        let worst = try mint.ca(key: weak) {
            $0.notAfter = Mint.now - 1
            $0.digest = .sha1
            $0.extensions = [.init("1.2.3.4", isCritical: true, value: [5, 0])]
        }
        let file = bytes("hello\n") + worst.pem + worst.pem + (try weak.pem)
        let findings = CertificateRequirements(now: Mint.now).checkCA(file: file)
        #expect(
            summary(findings) == [
                "error no-private-key", "error single-certificate", "warning text-around", "error ca-basic-constraints",
                "error ca-subject-key-identifier", "error ca-key-usage", "error currently-valid", "error key-strength",
                "error signature-digest", "error critical-extensions",
            ])
        #expect(findings.hasErrors && findings.allSatisfy { !$0.found.isEmpty && !$0.remedy.isEmpty })
        #expect(
            findings.first { $0.rule == .caBasicConstraints }?.description
                == "error: CA certificate: BasicConstraints is absent. Required: BasicConstraints is present, critical "
                + "and says CA:TRUE. Remedy: with `basicConstraints=critical,CA:TRUE`, make a new CA, register it, and "
                + "issue the server certificate anew from it (setup rotate-ca). [ca-basic-constraints]")
    }

    @Test func saysThatTheCAIsUnreadable() throws {
        let mint = try Mint()
        let findings = CertificateRequirements(now: Mint.now).checkServer(
            file: try mint.server().pem, caFile: bytes("nonsense"), tunnelDomain: Mint.domain)
        #expect(summary(findings) == ["error pem"] && findings.first?.document == .ca)
    }

    @Test func checksPairs() throws {
        let mint = try Mint()
        let requirements = CertificateRequirements(now: Mint.now)
        let certificate = try mint.server().pem
        func check(_ key: [UInt8]) -> [String] {
            summary(requirements.checkKey(file: key, certificateFile: certificate))
        }
        #expect(check(try mint.serverKey.pem).isEmpty)
        #expect(check(try mint.ca.key.pem) == ["error key-matches"])
        #expect(check(try PrivateKey.generate(.rsa2048).pem) == ["error key-matches"])
        #expect(check(certificate) == ["error key-readable"])
        #expect(check(try mint.serverKey.pem + mint.serverKey.pem) == ["error key-readable"])
        #expect(check([]) == ["error key-readable"])
        let unread = requirements.checkKey(file: try mint.serverKey.pem, certificateFile: [])
        #expect(summary(unread) == ["error key-matches"])
        let encrypted = PEMDocument.encode(label: "ENCRYPTED PRIVATE KEY", contents: [1])
        let findings = requirements.checkKey(file: encrypted, certificateFile: certificate)
        #expect(summary(findings) == ["error key-readable"] && findings.first?.found.contains("passphrase") == true)
        #expect(findings.first?.document == .key)
    }

    /// Names of rules are for programs, so they are unique and fit for a command line.
    @Test func rulesHaveDistinctNames() {
        let rules: [Finding.Rule] = [
            .pem, .singleCertificate, .noPrivateKey, .size, .textAround, .currentlyValid, .expiresSoon, .keyStrength,
            .signatureDigest, .caBasicConstraints, .caSubjectKeyIdentifier, .caKeyUsage, .issuer,
            .intermediates, .authorityKeyIdentifier, .names, .extendedKeyUsage, .readableKey, .keyMatches, .extensions,
            .criticalExtensions, .serialNumber, .selfSignature, .keyUsage, .notCA, .outlivesCA,
            .nameConstraints,
        ]
        #expect(Set(rules).count == rules.count && Set(rules.map(\.requirement)).count == rules.count)
        #expect(rules.allSatisfy { $0.id.allSatisfy { $0.isLowercase || $0 == "-" } })
    }
}
