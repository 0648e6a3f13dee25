import COpenSSL
import Testing

@testable import TunnelTLS

@Suite struct TLSIdentityTests {
    @Test func tellsWhatItHolds() throws {
        let identity = try TestPKI.leaf.identity()
        #expect(identity.subject == "CN=localhost")
        #expect(identity.dnsNames == ["localhost", "*.example.com"])
        #expect(identity.keyType == "P-256" && identity.keyBits == 256)
        #expect(identity.notAfter - identity.notBefore == 2 * 86_400)
        let print = TestPKI.run("openssl x509 -in \(TestPKI.leaf.certificatePath) -noout -fingerprint -sha256")
        let expected = print.split(separator: "=").last.map { $0.filter(\.isHexDigit).lowercased() }
        #expect(identity.fingerprint == expected)
        let start = TestPKI.run(
            "date -d \"$(openssl x509 -in \(TestPKI.leaf.certificatePath) -noout -startdate | cut -d= -f2)\" +%s")
        #expect("\(identity.notBefore)" == start.trimmingSuffix { $0 == "\n" })

        let rsa = try TestPKI.rsa.identity()
        #expect(rsa.keyType == "RSA" && rsa.keyBits == 2_048)
        let nameless = try TestPKI.nameless.identity()
        #expect(nameless.dnsNames.isEmpty)
    }

    /// Each way the openssl command writes a key, and both halves in one file.
    static let forms: [(name: String, command: String)] = [
        ("PKCS #8", "openssl pkcs8 -topk8 -nocrypt -in KEY"),
        ("SEC 1", "openssl ec -in KEY"),
        ("SEC 1 behind its parameters", "openssl ecparam -name prime256v1; openssl ec -in KEY"),
        ("PKCS #8 in DER", "openssl pkcs8 -topk8 -nocrypt -in KEY -outform DER"),
        ("SEC 1 in DER", "openssl ec -in KEY -outform DER"),
        ("behind the certificate", "cat CRT KEY"),
        ("before the certificate", "cat KEY CRT"),
        ("with Windows line ends", "sed 's/$/\\r/' KEY"),
        ("with text around", "echo 'a comment'; cat KEY; echo 'and more'"),
    ]
    @Test(arguments: forms) func readsKeys(_ form: (name: String, command: String)) throws {
        let key = output(form.command, TestPKI.leaf)
        let expected = try TestPKI.leaf.identity()
        for certificates in [TestPKI.leaf.certificate] + (form.command.contains("CRT") ? [key] : []) {
            let identity = try TLSIdentity(certificates: certificates, privateKey: key)
            #expect(identity.keyType == "P-256" && identity.keyBits == 256)
            #expect(identity.fingerprint == expected.fingerprint && identity.chain.count == 1)
            // It is this key and no other: what it signs, the certificate verifies.
            let server = try TLSServerContext(identity: identity)
            var pipe = try TestConnection(TestContexts(server: server))
            try pipe.run()
            #expect(pipe.client.peerFingerprint == expected.fingerprint)
        }
        #expect(throws: TLSIdentityError.self) {
            try TLSIdentity(certificates: TestPKI.authority.certificate, privateKey: key)
        }
    }

    static let certificateForms: [(name: String, command: String)] = [
        ("DER", "openssl x509 -in CRT -outform DER"),
        ("with its text", "openssl x509 -in CRT -text"),
        ("with Windows line ends", "sed 's/$/\\r/' CRT"),
        ("with an issuer", "cat CRT \(TestPKI.authority.certificatePath)"),
    ]
    @Test(arguments: certificateForms) func readsCertificates(_ form: (name: String, command: String)) throws {
        let identity = try TLSIdentity(
            certificates: output(form.command, TestPKI.leaf), privateKey: TestPKI.leaf.key)
        #expect(identity.dnsNames == ["localhost", "*.example.com"])
    }

    static let failures: [(name: String, crt: String, key: String, code: TLSIdentityError.Code)] = [
        ("empty certificate", "true", "cat KEY", .noCertificate),
        ("a key for a certificate", "cat KEY", "cat KEY", .noCertificate),
        ("no PEM at all", "echo hello", "cat KEY", .noCertificate),
        ("bad base64", "sed '3s/./*/g' CRT", "cat KEY", .malformedCertificate),
        ("bad inside", "sed '3s/^..../AAAA/' CRT | sed '2s/^..../AAAA/'", "cat KEY", .malformedCertificate),
        ("DER cut short", "openssl x509 -in CRT -outform DER | head -c 100", "cat KEY", .malformedCertificate),
        ("DER with a tail", "openssl x509 -in CRT -outform DER; echo x", "cat KEY", .malformedCertificate),
        ("second certificate bad", "cat CRT; sed '3s/./*/g' CRT", "cat KEY", .malformedCertificate),
        ("second certificate half written", "cat CRT; head -n 3 CRT", "cat KEY", .malformedCertificate),
        ("start line half written", "cat CRT; printf -- '-----BEGIN CERT'", "cat KEY", .malformedCertificate),
        ("end line half written", "head -c -5 CRT", "cat KEY", .malformedCertificate),
        ("17 certificates", "for i in $(seq 17); do cat CRT; done", "cat KEY", .malformedCertificate),
        ("empty key", "cat CRT", "true", .noPrivateKey),
        ("a certificate for a key", "cat CRT", "cat CRT", .noPrivateKey),
        ("a public key", "cat CRT", "openssl ec -in KEY -pubout", .noPrivateKey),
        ("bad key", "cat CRT", "sed '2s/./*/g' KEY", .malformedPrivateKey),
        ("key half written", "cat CRT", "head -n 2 KEY", .malformedPrivateKey),
        ("key in DER cut short", "cat CRT", "openssl ec -in KEY -outform DER | head -c 50", .malformedPrivateKey),
        ("key in DER with a tail", "cat CRT", "openssl ec -in KEY -outform DER; echo x", .malformedPrivateKey),
        ("encrypted", "cat CRT", "openssl pkcs8 -topk8 -passout pass:a -in KEY", .encryptedPrivateKey),
        ("encrypted, old form", "cat CRT", "openssl ec -aes128 -passout pass:a -in KEY", .encryptedPrivateKey),
        ("mismatch", "cat CRT", "cat \(TestPKI.stranger.keyPath)", .mismatch),
        ("mismatch in kind", "cat CRT", "cat \(TestPKI.rsa.keyPath)", .mismatch),
        ("leaf is not first", "cat \(TestPKI.authority.certificatePath) CRT", "cat KEY", .mismatch),
    ]
    @Test(arguments: failures)
    func tellsWhichHalfIsWrong(_ row: (name: String, crt: String, key: String, code: TLSIdentityError.Code)) {
        let error = #expect(throws: TLSIdentityError.self, "\(row.name)") {
            try TLSIdentity(
                certificates: output(row.crt, TestPKI.leaf), privateKey: output(row.key, TestPKI.leaf))
        }
        #expect(error?.code == row.code, "\(row.name)")
        #expect(error?.reason.isEmpty == false)
    }

    /// Whatever is left of a file that is being written, it is not taken for the whole.
    @Test func noPrefixOfAFileIsWhole() throws {
        let certificate = TestPKI.leaf.certificate, key = TestPKI.leaf.key
        // The last byte is the line end, which may be missing.
        for count in 0..<certificate.count - 1 {
            #expect(throws: TLSIdentityError.self, "\(count) bytes of the certificate") {
                try TLSIdentity(certificates: Array(certificate[..<count]), privateKey: key)
            }
        }
        for count in 0..<key.count - 1 {
            #expect(throws: TLSIdentityError.self, "\(count) bytes of the key") {
                try TLSIdentity(certificates: certificate, privateKey: Array(key[..<count]))
            }
        }
        let chain = certificate + TestPKI.authority.certificate
        for count in certificate.count + 1..<chain.count - 1 {
            #expect(throws: TLSIdentityError.self, "\(count) bytes of the chain") {
                try TLSIdentity(certificates: Array(chain[..<count]), privateKey: key)
            }
        }
    }

    @Test func takesTheLongestChain() throws {
        let chain = output("for i in $(seq 16); do cat CRT; done", TestPKI.leaf)
        let identity = try TLSIdentity(certificates: chain, privateKey: TestPKI.leaf.key)
        #expect(identity.chain.count == TLSIdentity.maxChainLength)
        // All of it reaches the client.
        let server = try TLSServerContext(identity: identity)
        var pipe = try TestConnection(TestContexts(server: server))
        try pipe.run()
        #expect(OPENSSL_sk_num(SSL_get_peer_cert_chain(pipe.client.ssl)) == 16)
    }

    private func output(_ command: String, _ pair: TestPair) -> [UInt8] {
        let path = TestPKI.directory + "/" + String(UInt64.random(in: 0 ... .max), radix: 36)
        let command = command.replacing("KEY", with: pair.keyPath).replacing("CRT", with: pair.certificatePath)
        TestPKI.run("{ \(command); } > \(path) 2>/dev/null")
        return TestPKI.read(path)
    }
}

extension String {
    func trimmingSuffix(while predicate: (Character) -> Bool) -> String {
        var text = self
        while let last = text.last, predicate(last) { text.removeLast() }
        return text
    }

    /// Without Foundation.
    func replacing(_ word: String, with other: String) -> String {
        var result = ""
        var rest = self[...]
        while let first = rest.first {
            if rest.hasPrefix(word) {
                result += other
                rest = rest.dropFirst(word.count)
            } else {
                result.append(first)
                rest = rest.dropFirst()
            }
        }
        return result
    }
}
