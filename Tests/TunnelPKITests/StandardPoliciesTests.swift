import Testing

@testable import TunnelPKI

@Suite struct StandardPoliciesTests {
    @Test func noticesDoubledExtensions() throws {
        let mint = try Mint()
        let doubled = try mint.server { $0.extensions.append(.basicConstraints(isAuthority: false)) }
        #expect(mint.checkServer(doubled) == ["error extensions"])
        #expect(mint.findings(doubled).first?.found == "Basic Constraints is there twice")
        let authority = try mint.authority { $0.extensions.append(.keyUsage([.keyCertSign])) }
        #expect(mint.checkAuthority(authority) == ["error extensions"])
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
        #expect(summary(CertificateRequirements(now: now).checkAuthority(file: file)) == row.expected)
    }
}
