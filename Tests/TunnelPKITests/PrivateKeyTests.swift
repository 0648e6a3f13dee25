import Foundation
import Testing

@testable import TunnelPKI

@Suite struct PrivateKeyTests {
    static let expected: [(KeyType, KeyAlgorithm)] = [
        (.rsa2048, .rsa(bits: 2048)), (.rsa3072, .rsa(bits: 3072)), (.ecdsaP256, .ecdsa(curve: "P-256")),
        (.ecdsaP384, .ecdsa(curve: "P-384")),
    ]

    @Test(arguments: expected) func generatesAndRoundTrips(_ row: (type: KeyType, algorithm: KeyAlgorithm)) throws {
        let key = try PrivateKey.generate(row.type)
        #expect(key.algorithm == row.algorithm)
        let pem = try key.pem
        #expect(String(decoding: pem, as: UTF8.self).hasPrefix("-----BEGIN PRIVATE KEY-----\n"))
        let again = try PrivateKey(pem: pem)
        #expect(try again.pem == pem && again.algorithm == row.algorithm)
        #expect(try PrivateKey(der: key.der).pem == pem)
        #expect(try key.keyIdentifier.count == 20)
    }

    @Test func twoKeysDiffer() throws {
        #expect(try PrivateKey.generate(.ecdsaP256).pem != PrivateKey.generate(.ecdsaP256).pem)
    }

    @Test func spellsKeyTypes() {
        #expect(KeyType(rawValue: "ecdsa-p256") == .ecdsaP256 && KeyType(rawValue: "rsa-4096") == .rsa4096)
        #expect(KeyType(rawValue: "RSA-4096") == nil)
    }

    /// No textual form shows the key.
    @Test func neverPrintsItself() throws {
        let key = try PrivateKey.generate(.ecdsaP256)
        var dumped = ""
        dump(key, to: &dumped)
        for text in ["\(key)", String(reflecting: key), dumped] {
            #expect(text.contains("<private key, ECDSA P-256>") && text.utf8.count < 60)
        }
    }

    /// What `openssl` writes: PKCS#8, PKCS#1, SEC1 with its parameters in front, and DER of each.
    @Test(arguments: [
        ("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key", "PRIVATE KEY"),
        ("genrsa -traditional -out key 2048", "RSA PRIVATE KEY"),
        ("ecparam -name prime256v1 -genkey -out key", "EC PARAMETERS"),
        ("ecparam -name secp384r1 -genkey -noout -out key", "EC PRIVATE KEY"),
        ("ecparam -name secp521r1 -genkey -noout -out key", "EC PRIVATE KEY"),
    ])
    func readsOpenSSLKeys(_ row: (command: String, label: String)) throws {
        let tool = try OpenSSLTool()
        try tool.run(row.command)
        let file = try tool.read("key")
        #expect(String(decoding: file, as: UTF8.self).hasPrefix("-----BEGIN \(row.label)-----"))
        let key = try PrivateKey(pem: file)
        try tool.write("ours", try key.pem)
        #expect(try tool.run("pkey -in ours -pubout") == tool.run("pkey -in key -pubout"))
        try tool.run("pkey -in ours -check -noout")
        let der = try #require(PEMDocument(file).blocks.last).contents
        #expect(try PrivateKey(der: der).pem == key.pem)
    }

    @Test func saysThatAFileIsDER() throws {
        let key = try PrivateKey.generate(.ecdsaP256)
        let error = #expect(throws: PKIError.self) { try PrivateKey(pem: try key.der) }
        #expect(error?.code == .missing && error?.reason.contains("DER, not PEM (`openssl pkey -inform DER") == true)
        let certificate = try CertificateAuthority.generate(now: Mint.now).certificate
        let other = #expect(throws: PKIError.self) { try Certificate(pem: certificate.der) }
        #expect(other?.code == .missing && other?.reason.contains("openssl x509 -inform DER") == true)
    }

    @Test func refusesEncryptedKeys() throws {
        let tool = try OpenSSLTool()
        try tool.write("plain", try PrivateKey.generate(.rsa2048).pem)
        try tool.run("pkcs8 -topk8 -in plain -out pkcs8 -passout pass:secret -v2 aes-256-cbc")
        try tool.run("rsa -traditional -in plain -aes128 -passout pass:secret -out pkcs1")
        for name in ["pkcs8", "pkcs1"] {
            let error = #expect(throws: PKIError.self) { try PrivateKey(pem: try tool.read(name)) }
            #expect(error?.code == .encryptedKey && error?.reason.contains("passphrase") == true)
        }
        let envelope = try PEMDocument(tool.read("pkcs8")).blocks[0].contents
        #expect(throws: PKIError(.encryptedKey, "")) { try PrivateKey(der: envelope) }
    }

    @Test(arguments: ["ED25519", "X25519", "RSA-PSS"]) func refusesOtherAlgorithms(_ name: String) throws {
        let tool = try OpenSSLTool()
        try tool.run("genpkey -algorithm \(name) -out key")
        #expect(throws: PKIError(.unsupportedKey, "")) { try PrivateKey(pem: try tool.read("key")) }
    }

    @Test func refusesWrongFiles() throws {
        let key = try PrivateKey.generate(.ecdsaP256).pem
        let certificate = try CertificateAuthority.generate(now: 0).certificate.pem
        func code(_ file: [UInt8]) -> PKIError.Code? {
            do { _ = try PrivateKey(pem: file) } catch { return error.code }
            return nil
        }
        #expect(code(key + certificate) == nil)
        #expect(code([]) == .missing)
        #expect(code(certificate) == .missing)
        #expect(code(key + key) == .several)
        #expect(code(PEMDocument.encode(label: "PRIVATE KEY", contents: [0x30, 0x00])) == .malformed)
        #expect(code(PEMDocument.encode(label: "OPENSSH PRIVATE KEY", contents: [1])) == .unsupportedKey)
        #expect(code([UInt8](repeating: 0x20, count: PEMDocument.maxBytes + 1)) == .tooLarge)
        let der = try PrivateKey(pem: key).der
        #expect(throws: PKIError(.malformed, "")) { try PrivateKey(der: der + [0]) }
        #expect(throws: PKIError(.malformed, "")) { try PrivateKey(der: Array(der.dropLast())) }
        #expect(throws: PKIError(.malformed, "")) { try PrivateKey(der: []) }
        #expect(throws: PKIError(.tooLarge, "")) { try PrivateKey(der: [UInt8](repeating: 0, count: 70_000)) }
    }

    /// The certificate's half and the key's half find each other.
    @Test func matchesItsCertificateOnly() throws {
        let mint = try Mint()
        #expect(mint.ca.certificate.matches(mint.ca.key))
        #expect(!mint.ca.certificate.matches(mint.serverKey))
        #expect(!mint.ca.certificate.matches(try PrivateKey.generate(.rsa2048)))
    }
}
