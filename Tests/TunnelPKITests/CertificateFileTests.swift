import Foundation
import Testing

@testable import TunnelPKI

/// The file as a file, before anyone looks into the certificate.
@Suite struct CertificateFileTests {
    let mint: Mint

    init() throws { mint = try Mint() }

    private func ca(_ file: [UInt8]) -> [Finding] {
        CertificateRequirements(now: Mint.now).checkCA(file: file)
    }

    private func server(_ file: [UInt8]) -> [Finding] {
        CertificateRequirements(now: Mint.now).checkServer(
            file: file, caFile: mint.ca.certificate.pem, tunnelDomain: Mint.domain)
    }

    @Test func wantsPEM() throws {
        let pem = mint.ca.certificate.pem
        let text = try #require(String(data: Data(pem), encoding: .utf8))
        let rows: [(file: [UInt8], says: String)] = [
            ([], "empty"), (bytes("hello"), "no PEM block"), (mint.ca.certificate.der, "DER, not PEM"),
            ([0xFF, 0xFE] + pem.flatMap { [$0, 0] }, "UTF-16"), ([0xEF, 0xBB, 0xBF] + pem, "byte order mark"),
            (Array(pem.dropLast(30)), "cut off"), (pem.map { $0 == 0x0A ? 0x20 : $0 }, "alone on its line"),
            (PEMDocument.encode(label: "CERTIFICATE", contents: [0x30, 0]), "cannot be read"),
            (PEMDocument.encode(label: "TRUSTED CERTIFICATE", contents: [0x30, 0]), "holds TRUSTED CERTIFICATE"),
            (bytes(text.replacing("CERTIFICATE-----\nMI", with: "CERTIFICATE-----\nA: b\n\nMI")), "headers"),
            ([UInt8](repeating: 0, count: PEMDocument.maxBytes + 1), "65537 bytes; keys and certificates"),
        ]
        for row in rows {
            for findings in [ca(row.file), server(row.file)] {
                #expect(
                    findings.contains { $0.rule == .pem && $0.severity == .error && $0.found.contains(row.says) },
                    "\(findings)")
            }
        }
    }

    /// What reads the upload sees one long line and no block; we and the proxy would see the certificate.
    @Test func wantsLineEndsThatOthersSee() throws {
        let pem = mint.ca.certificate.pem
        #expect(summary(ca(pem.map { $0 == 0x0A ? 0x0D : $0 })) == ["error pem"])
        #expect(summary(ca(pem.flatMap { $0 == 0x0A ? [0x0D, 0x0A] : [$0] })).isEmpty)
        #expect(summary(server(try mint.server().pem.map { $0 == 0x0A ? 0x0D : $0 })).isEmpty)
    }

    @Test func explainsRequests() throws {
        let tool = try OpenSSLTool()
        try tool.write("key", mint.serverKey.pem)
        try tool.run("req -new -key key -subj /CN=x -out csr")
        let finding = try #require(server(try tool.read("csr")).first)
        #expect(finding.rule == .pem && finding.found.contains("CERTIFICATE REQUEST"))
        #expect(finding.remedy.contains("must first be signed"))
    }

    @Test func wantsOneCertificate() throws {
        let pem = mint.ca.certificate.pem
        #expect(summary(ca(pem + pem)) == ["error single-certificate"])
        let mixed = ca(pem + PEMDocument.encode(label: "X509 CRL", contents: [1]))
        #expect(summary(mixed) == ["error single-certificate"])
        #expect(mixed.first?.found == "the file holds 1 certificates and a block X509 CRL")
        #expect(summary(server(try mint.server().pem + pem)) == ["warning single-certificate"])
    }

    @Test func refusesPrivateKeys() throws {
        let pem = mint.ca.certificate.pem
        let key = try mint.ca.key.pem
        #expect(summary(ca(pem + key)) == ["error no-private-key"])
        #expect(summary(ca(key + pem)) == ["error no-private-key"])
        #expect(summary(server(try mint.server().pem + key)) == ["error no-private-key"])
        // Also where the block is cut off, and where nothing but the key is there.
        #expect(summary(ca(pem + key.dropLast(40))) == ["error no-private-key", "error pem"])
        #expect(summary(ca(key)) == ["error no-private-key", "error pem"])
        #expect(!ca(pem + key).description.contains(String(decoding: key[30..<60], as: UTF8.self)))
    }

    @Test(arguments: [
        (8_000, []), (8_001, ["warning size"]), (8_192, ["warning size"]), (8_193, ["error size"]),
    ])
    func limitsTheUpload(_ row: (count: Int, expected: [String])) throws {
        var file = mint.ca.certificate.pem
        file += [UInt8](repeating: 0x0A, count: row.count - file.count)
        #expect(summary(ca(file)) == row.expected)
        // A server's certificate is not uploaded.
        var own = try mint.server().pem
        own += [UInt8](repeating: 0x0A, count: row.count - own.count)
        #expect(server(own).isEmpty)
    }

    @Test func warnsOfTextAround() throws {
        #expect(summary(ca(bytes("Certificate:\n") + mint.ca.certificate.pem)) == ["warning text-around"])
        #expect(server(bytes("Certificate:\n") + (try mint.server().pem)).isEmpty)
    }
}
