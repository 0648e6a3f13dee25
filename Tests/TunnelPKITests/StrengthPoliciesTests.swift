import Testing

@testable import TunnelPKI

@Suite struct StrengthPoliciesTests {
    @Test(
        arguments: [
            (1024, ["error key-strength"]), (2047, ["error key-strength"]), (2048, []), (3072, []),
        ] as [(Int32, [String])])
    func judgesRSA(_ row: (bits: Int32, expected: [String])) throws {
        let mint = try Mint()
        let key = try PrivateKey.generate(rsaBits: row.bits)
        #expect(mint.checkServer(try mint.server(key: key)) == row.expected)
        #expect(mint.checkAuthority(try mint.authority(key: key)) == row.expected)
    }

    /// Making a key of this size takes minutes, but only its public half is looked at, and that can be any odd number.
    @Test(arguments: [(8192, false), (8193, true)]) func warnsOfHugeKeys(_ row: (bits: Int, isTooLarge: Bool)) throws {
        let top: [UInt8] = row.bits % 8 == 0 ? [0x00, 0xFF] : [0x01, 0xFF]
        let modulus = DER.element(0x02, top + [UInt8](repeating: 0xFF, count: row.bits / 8 - 1))
        let rsaEncryption = DER.sequence(DER.objectIdentifier([1, 2, 840, 113_549, 1, 1, 1]), [0x05, 0x00])
        let key = DER.element(0x03, [0] + DER.sequence(modulus, DER.integer(3)))
        let mint = try Mint()
        let tool = try OpenSSLTool()
        try tool.write("public", PEMDocument.encode(label: "PUBLIC KEY", contents: DER.sequence(rsaEncryption, key)))
        try tool.write("ca", mint.authority.certificate.pem)
        try tool.write("key", try mint.authority.key.pem)
        try tool.run("x509 -new -force_pubkey public -subj /CN=x -CA ca -CAkey key -out huge")
        let certificate = try Certificate(pem: tool.read("huge"))
        #expect(certificate.keyAlgorithm == .rsa(bits: row.bits))
        #expect(mint.checkServer(certificate).contains("warning key-strength") == row.isTooLarge)
    }

    @Test(arguments: [
        ("secp224r1", ["error key-strength"]), ("prime256v1", []), ("secp384r1", []), ("secp521r1", []),
        ("secp256k1", ["error key-strength"]), ("brainpoolP256r1", ["error key-strength"]),
    ])
    func judgesCurves(_ row: (curve: String, expected: [String])) throws {
        let tool = try OpenSSLTool()
        try tool.run("ecparam -name \(row.curve) -genkey -noout -out key")
        let mint = try Mint()
        let key = try PrivateKey(pem: tool.read("key"))
        #expect(mint.checkServer(try mint.server(key: key)) == row.expected)
    }

    /// A curve that is given by its numbers instead of its name is refused by every TLS peer.
    @Test func judgesExplicitParameters() throws {
        let tool = try OpenSSLTool()
        try tool.run("ecparam -name prime256v1 -genkey -noout -param_enc explicit -out key")
        let mint = try Mint()
        let key = try PrivateKey(pem: tool.read("key"))
        let findings = mint.findings(try mint.server(key: key))
        #expect(summary(findings) == ["error key-strength"])
        #expect(findings.first?.found.contains("explicit") == true)
    }

    @Test(arguments: ["ED25519", "ED448", "RSA-PSS"]) func judgesOtherKeys(_ algorithm: String) throws {
        let tool = try OpenSSLTool()
        try tool.run("genpkey -algorithm \(algorithm) -out key")
        try tool.run("req -x509 -key key -subj /CN=ca -addext keyUsage=keyCertSign -out ca")
        let findings = summary(CertificateRequirements(now: .max).checkAuthority(file: try tool.read("ca")))
        #expect(findings.contains("error key-strength"))
    }

    @Test(
        arguments: [
            (.md5, ["error signature-digest"]), (.sha1, ["error signature-digest"]),
            (.sha224, ["error signature-digest"]),
            (.sha256, []), (.sha384, []), (.sha512, []),
        ] as [(CertificateTemplate.SignatureDigest, [String])])
    func judgesDigests(_ row: (digest: CertificateTemplate.SignatureDigest, expected: [String])) throws {
        let mint = try Mint()
        let key = try PrivateKey.generate(.rsa2048)
        let authority = try mint.authority(key: key) { $0.digest = row.digest }
        #expect(mint.checkAuthority(authority) == row.expected)
        let server = try mint.server(issuer: authority, issuerKey: key) { $0.digest = row.digest }
        #expect(mint.checkServer(server, authority: authority) == row.expected)
    }

    /// RSASSA-PSS hides its digest in parameters.
    @Test(arguments: [("sha256", false), ("sha1", true)]) func judgesPSS(_ row: (digest: String, isWeak: Bool)) throws {
        let tool = try OpenSSLTool()
        try tool.write("key", try PrivateKey.generate(.rsa2048).pem)
        try tool.run("req -x509 -key key -subj /CN=ca -\(row.digest) -sigopt rsa_padding_mode:pss -out ca")
        let findings = summary(CertificateRequirements(now: .max).checkAuthority(file: try tool.read("ca")))
        #expect(findings.contains("error signature-digest") == row.isWeak)
    }
}
