import Foundation
import Testing

@testable import TunnelPKI

/// Reading: what `openssl` says of a certificate is what we say.
@Suite struct CertificateTests {
    @Test func readsWhatOpenSSLReads() throws {
        let mint = try Mint()
        let certificate = try mint.server()
        let tool = try OpenSSLTool()
        try tool.write("c", certificate.pem)
        func field(_ option: String) throws -> String {
            let line = try tool.run("x509 -in c -noout -nameopt RFC2253 \(option)")
            return String(line.split(separator: "=", maxSplits: 1)[1].dropLast())
        }
        #expect(try field("-fingerprint -sha256").replacing(":", with: "").lowercased() == certificate.fingerprint)
        #expect(try field("-subject") == certificate.subject && certificate.subject == "CN=\(Mint.domain)")
        #expect(try field("-issuer") == certificate.issuer && certificate.issuer == "CN=mcp-tunnel-ca")
        #expect(try field("-serial").lowercased() == certificate.serialNumber)
        #expect(try field("-startdate") == "Jan 15 07:55:00 2027 GMT" && certificate.notBefore == 1_799_999_700)
        #expect(certificate.notAfter == Mint.now + 90 * Mint.day)
        try tool.run("x509 -in c -outform DER -out d")
        #expect(try tool.read("d") == certificate.der)
        let again = try Certificate(der: certificate.der)
        #expect(again == certificate && again.hashValue == certificate.hashValue)
        #expect(try Certificate(pem: certificate.pem) == certificate)
    }

    @Test func readsExtensions() throws {
        let mint = try Mint()
        let server = try mint.server { $0.replace(OID.keyUsage, with: .keyUsage([.digitalSignature, .decipherOnly])) }
        let extensions = server.extensions
        #expect(extensions.basicConstraints == .init(isCritical: true, isCA: false, pathLength: nil))
        #expect(extensions.keyUsage == [.digitalSignature, .decipherOnly])
        #expect(extensions.extendedKeyUsage == ["1.3.6.1.5.5.7.3.1"])
        #expect(try extensions.subjectKeyIdentifier == mint.serverKey.keyIdentifier)
        #expect(extensions.authorityKeyIdentifier == mint.ca.certificate.extensions.subjectKeyIdentifier)
        #expect(server.dnsNames == [Mint.domain, "*." + Mint.domain])
        #expect(extensions.defects.isEmpty && extensions.unknownCritical.isEmpty)
        #expect(server.signatureDigest == "SHA256" && server.keyAlgorithm == .ecdsa(curve: "P-256"))
        let limited = try mint.ca {
            $0.replace(
                OID.basicConstraints, with: .basicConstraints(isCA: true, pathLength: 3, isCritical: false))
        }
        #expect(limited.extensions.basicConstraints == .init(isCritical: false, isCA: true, pathLength: 3))
        let bare = try mint.server { $0.extensions = [] }
        #expect(bare.extensions.basicConstraints == nil && bare.extensions.keyUsage == nil)
        #expect(bare.extensions.extendedKeyUsage == nil && bare.dnsNames.isEmpty)
        #expect(bare.extensions.subjectKeyIdentifier == nil && bare.extensions.authorityKeyIdentifier == nil)
    }

    /// Every kind of name, made by `openssl`.
    @Test func readsAlternativeNames() throws {
        let tool = try OpenSSLTool()
        let names = "DNS:a.example,IP:10.0.0.1,IP:2001:db8::1,email:x@example.org,URI:https://example.org,RID:1.2.3"
        try tool.write("key", try PrivateKey.generate(.ecdsaP256).pem)
        try tool.run("req -x509 -key key -subj /CN=x -addext subjectAltName=\(names) -out c")
        let certificate = try Certificate(pem: tool.read("c"))
        #expect(
            certificate.extensions.subjectAlternativeNames == [
                .dns("a.example"), .ip("10.0.0.1"), .ip("2001:db8:0:0:0:0:0:1"), .other("email"), .other("URI"),
                .other("other name"),
            ])
        #expect(
            certificate.extensions.subjectAlternativeNames.map(\.description).prefix(2) == [
                "DNS:a.example", "IP:10.0.0.1",
            ])
    }

    /// Control characters of a name reach neither a terminal nor a log.
    @Test func escapesControlCharacters() throws {
        let mint = try Mint()
        let evil = try mint.server {
            $0.commonName = "a\u{1B}[31m\nb\u{202E}ü"
            $0.replace(OID.subjectAlternativeName, with: .subjectAlternativeNames(["x\u{7}\n.example\0"]))
        }
        #expect(evil.subject == "CN=a\\1B[31m\\0Ab\u{FFFD}ü")
        #expect(evil.dnsNames == ["x\u{FFFD}\u{FFFD}.example\u{FFFD}"])
    }

    @Test func readsFilesOfSeveral() throws {
        let mint = try Mint()
        let (ca, server) = (mint.ca.certificate, try mint.server())
        #expect(try Certificate.all(pem: server.pem + ca.pem) == [server, ca])
        #expect(try Certificate.all(pem: mint.serverKey.pem + ca.pem) == [ca])
        #expect(throws: PKIError(.missing, "")) { try Certificate.all(pem: mint.serverKey.pem) }
        // Other readers skip a block with headers, so a bundle with one is another to them.
        let headed = String(decoding: ca.pem, as: UTF8.self).replacing(
            "CERTIFICATE-----\nMI", with: "CERTIFICATE-----\nA: b\n\nMI")
        #expect(throws: PKIError(.malformed, "")) { try Certificate.all(pem: server.pem + Array(headed.utf8)) }
        #expect(throws: PKIError(.several, "")) { try Certificate(pem: server.pem + ca.pem) }
        #expect(throws: PKIError(.several, "")) { try Certificate(pem: server.pem + mint.serverKey.pem) }
        #expect(throws: PKIError(.missing, "")) { try Certificate(pem: mint.serverKey.pem) }
        #expect(throws: PKIError(.missing, "")) { try Certificate(pem: []) }
    }

    /// Any cut and any trailing byte is an error, never a certificate.
    @Test func refusesBrokenDER() throws {
        let der = try Mint().server().der
        for count in 0..<der.count {
            #expect(throws: PKIError(.malformed, "")) { try Certificate(der: Array(der[..<count])) }
        }
        #expect(throws: PKIError(.malformed, "")) { try Certificate(der: der + [0]) }
        #expect(throws: PKIError(.tooLarge, "")) { try Certificate(der: der + [UInt8](repeating: 0, count: 70_000)) }
    }

    @Test func verifiesSignatures() throws {
        let mint = try Mint()
        let server = try mint.server()
        #expect(server.isSigned(by: mint.ca.certificate) && !server.isSigned(by: server))
        #expect(server.isIssuedInName(of: mint.ca.certificate) && !server.isIssuedInName(of: server))
        var damaged = server.der
        damaged[damaged.count - 1] ^= 1
        #expect(try !Certificate(der: damaged).isSigned(by: mint.ca.certificate))
    }
}
