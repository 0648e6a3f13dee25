import Testing

@testable import TunnelPKI

/// Dates at their edges: the first and the last second are valid.
@Suite struct ValidityPolicyTests {
    static let end = Mint.now + 90 * Mint.day

    @Test(arguments: [
        (Mint.now - 301, ["error currently-valid"]), (Mint.now - 300, []), (Mint.now, []), (end, []),
        (end + 1, ["error currently-valid"]), (Int64.min, ["error currently-valid"]),
    ])
    func judgesServer(_ row: (now: Int64, expected: [String])) throws {
        let mint = try Mint()
        #expect(mint.checkServer(try mint.server(), now: row.now) == row.expected)
    }

    @Test func judgesCA() throws {
        let mint = try Mint()
        let last = mint.ca.certificate.notAfter
        #expect(mint.checkCA(mint.ca.certificate, now: last).isEmpty)
        #expect(mint.checkCA(mint.ca.certificate, now: last + 1) == ["error currently-valid"])
        #expect(mint.checkCA(mint.ca.certificate, now: .max) == ["error currently-valid"])
    }

    @Test func saysWhen() throws {
        let mint = try Mint()
        let expired = try #require(mint.findings(try mint.server(), now: Self.end + 60).first)
        #expect(expired.found == "it expired at 2027-04-15 08:00:00 UTC; it is now 2027-04-15 08:01:00 UTC")
        #expect(expired.remedy == "issue a new server certificate from the registered CA (setup renew-cert)")
        let early = try #require(mint.findings(try mint.server(), now: 0).first)
        #expect(early.found == "it is not valid before 2027-01-15 07:55:00 UTC; it is now 1970-01-01 00:00:00 UTC")
    }

    @Test(
        arguments: [
            (30 * Mint.day, 30 * Mint.day - 1, nil), (30 * Mint.day, 30 * Mint.day, "30 days"),
            (7_200, 7_200, "2 hours"),
            (7_199, 7_200, "7199 seconds"), (0, 0, nil), (0, 1, "0 seconds"), (5, -1, nil), (5, .max, "5 seconds"),
        ] as [(Int64, Int64, String?)])
    func warnsInTime(_ row: (left: Int64, warning: Int64, span: String?)) throws {
        let requirements = CertificateRequirements(now: Self.end - row.left, expiryWarning: .seconds(row.warning))
        let mint = try Mint()
        let findings = requirements.checkServer(
            file: try mint.server().pem, caFile: mint.ca.certificate.pem, tunnelDomain: Mint.domain)
        #expect(summary(findings) == (row.span == nil ? [] : ["warning expires-soon"]))
        if let span = row.span { #expect(findings.first?.found.hasSuffix("in \(span)") == true) }
    }

    @Test func noticesAnOutlivedCA() throws {
        let mint = try Mint()
        let end = mint.ca.certificate.notAfter
        #expect(mint.checkServer(try mint.server { $0.notAfter = end }).isEmpty)
        #expect(mint.checkServer(try mint.server { $0.notAfter = end + 1 }) == ["warning server-outlives-ca"])
    }
}

@Suite struct StrengthPoliciesTests {
    @Test(
        arguments: [
            (1024, ["error key-strength"]), (2047, ["error key-strength"]), (2048, []), (3072, []),
        ] as [(Int32, [String])])
    func judgesRSA(_ row: (bits: Int32, expected: [String])) throws {
        let mint = try Mint()
        let key = try PrivateKey.generate(rsaBits: row.bits)
        #expect(mint.checkServer(try mint.server(key: key)) == row.expected)
        #expect(mint.checkCA(try mint.ca(key: key)) == row.expected)
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
        try tool.write("ca", mint.ca.certificate.pem)
        try tool.write("key", try mint.ca.key.pem)
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
        let findings = summary(CertificateRequirements(now: .max).checkCA(file: try tool.read("ca")))
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
        let ca = try mint.ca(key: key) { $0.digest = row.digest }
        #expect(mint.checkCA(ca) == row.expected)
        let server = try mint.server(issuer: ca, issuerKey: key) { $0.digest = row.digest }
        #expect(mint.checkServer(server, ca: ca) == row.expected)
    }

    /// RSASSA-PSS hides its digest in parameters.
    @Test(arguments: [("sha256", false), ("sha1", true)]) func judgesPSS(_ row: (digest: String, isWeak: Bool)) throws {
        let tool = try OpenSSLTool()
        try tool.write("key", try PrivateKey.generate(.rsa2048).pem)
        try tool.run("req -x509 -key key -subj /CN=ca -\(row.digest) -sigopt rsa_padding_mode:pss -out ca")
        let findings = summary(CertificateRequirements(now: .max).checkCA(file: try tool.read("ca")))
        #expect(findings.contains("error signature-digest") == row.isWeak)
    }
}

@Suite struct StandardPoliciesTests {
    @Test func noticesDoubledExtensions() throws {
        let mint = try Mint()
        let doubled = try mint.server { $0.extensions.append(.basicConstraints(isCA: false)) }
        #expect(mint.checkServer(doubled) == ["error extensions"])
        #expect(mint.findings(doubled).first?.found == "Basic Constraints is there twice")
        let ca = try mint.ca { $0.extensions.append(.keyUsage([.keyCertSign])) }
        #expect(mint.checkCA(ca) == ["error extensions"])
    }

    /// RFC 5280 §4.1.2.1: the field holds one less. The signature does not fit any more, which is told beside it.
    @Test(arguments: [(UInt8(2), false), (1, true), (3, true)]) func judgesVersions(_ row: (field: UInt8, isOdd: Bool))
        throws
    {
        let mint = try Mint()
        func with(_ certificate: Certificate) throws -> Certificate {
            var bytes = certificate.der
            let place = try #require(bytes.firstRange(of: [0xA0, 0x03, 0x02, 0x01, 0x02]))
            bytes[place.upperBound - 1] = row.field
            return try Certificate(der: bytes)
        }
        #expect(try mint.checkCA(with(mint.ca.certificate)).contains("error version") == row.isOdd)
        let findings = mint.findings(try with(try mint.server()))
        #expect(summary(findings).contains("error version") == row.isOdd)
        guard row.isOdd else { return }
        #expect(findings.contains { $0.found == "it is of version \(row.field + 1) and has extensions" })
    }

    @Test func noticesBrokenExtensions() throws {
        let mint = try Mint()
        for identifier in [OID.basicConstraints, OID.subjectAlternativeName, OID.keyUsage, OID.extendedKeyUsage] {
            let broken = try mint.server {
                $0.replace(identifier, with: .init(identifier, isCritical: false, value: [0x30, 0x05, 0x01]))
            }
            let findings = mint.findings(broken)
            // A name that does not parse is a name that is missing; the others are optional for a server.
            let missing = identifier == OID.subjectAlternativeName ? ["error server-names"] : []
            #expect(summary(findings) == missing + ["error extensions"], "\(identifier)")
            #expect(findings.last?.found.hasSuffix("does not parse") == true)
        }
    }

    @Test func noticesUnknownCriticalExtensions() throws {
        let mint = try Mint()
        let value: [UInt8] = [0x05, 0x00]
        let strange = try mint.server { $0.extensions.append(.init("1.2.3.4.5", isCritical: true, value: value)) }
        let findings = mint.findings(strange)
        #expect(summary(findings) == ["error critical-extensions"])
        #expect(findings.first?.found == "critical and unknown: 1.2.3.4.5")
        let harmless = try mint.server { $0.extensions.append(.init("1.2.3.4.5", isCritical: false, value: value)) }
        #expect(mint.checkServer(harmless).isEmpty)
    }

    /// OpenSSL takes these and Go does not; of those that are not critical nobody has to know anything.
    @Test(
        arguments: [
            ("2.5.29.36", [0x30, 0x03, 0x80, 0x01, 0x00], "Policy Constraints"),
            ("2.5.29.54", [0x02, 0x01, 0x00], "Inhibit Any Policy"),
            ("1.3.6.1.5.5.7.48.1.5", [0x05, 0x00], "OCSP No Check"),
        ] as [(String, [UInt8], String)])
    func warnsOfCriticalExtensionsThatSomeDoNotKnow(_ row: (oid: String, value: [UInt8], title: String)) throws {
        let mint = try Mint()
        let edit: Mint.Edit = { $0.extensions.append(.init(row.oid, isCritical: true, value: row.value)) }
        let findings = mint.findings(try mint.server(edit))
        #expect(summary(findings) == ["warning critical-extensions"])
        #expect(findings.first?.found == "critical and not known to every peer: \(row.title) (\(row.oid))")
        #expect(mint.checkCA(try mint.ca(edit)) == ["warning critical-extensions"])
        let harmless = try mint.server { $0.extensions.append(.init(row.oid, isCritical: false, value: row.value)) }
        #expect(mint.checkServer(harmless).isEmpty)
    }

    /// `openssl x509 -set_serial` takes any number.
    @Test(arguments: [
        ("1", []), ("0", ["warning serial-number"]), ("-1", ["error serial-number"]),
        ("0x7f" + String(repeating: "00", count: 19), []),
        ("0x80" + String(repeating: "00", count: 19), ["warning serial-number"]),
        ("0x01" + String(repeating: "00", count: 20), ["warning serial-number"]),
    ])
    func judgesSerialNumbers(_ row: (serial: String, expected: [String])) throws {
        let tool = try OpenSSLTool()
        try tool.write("key", try PrivateKey.generate(.ecdsaP256).pem)
        try tool.run(
            "req -x509 -key key -subj /CN=ca -set_serial \(row.serial) -addext keyUsage=critical,keyCertSign -out ca")
        let file = try tool.read("ca")
        let now = try Certificate(pem: file).notBefore
        #expect(summary(CertificateRequirements(now: now).checkCA(file: file)) == row.expected)
    }
}
