import Testing
import TunnelPKI
import TunnelTLS

/// Files as people make them: what `setup verify` finds well formed is what the proxy takes, and the other way round.
@Suite struct OddFilesTests {
    /// `certificate` and `key` change the whole text of a file; `complaint` is part of what both readers say.
    struct Row: Sendable, CustomStringConvertible {
        let description: String
        var certificate: @Sendable (String) -> String = { $0 }
        var key: @Sendable (String) -> String = { $0 }
        var complaint: String?
    }

    private static func both(
        _ name: String, complaint: String? = nil, _ edit: @escaping @Sendable (String) -> String
    ) -> Row { Row(description: name, certificate: edit, key: edit, complaint: complaint) }

    private static func key(
        _ name: String, complaint: String? = nil, _ edit: @escaping @Sendable (String) -> String
    ) -> Row { Row(description: name, key: edit, complaint: complaint) }

    private static func certificate(
        _ name: String, complaint: String? = nil, _ edit: @escaping @Sendable (String) -> String
    ) -> Row { Row(description: name, certificate: edit, complaint: complaint) }

    static let rows: [Row] = [
        both("as written") { $0 },
        both("text before") { "Made by hand: 2026\n\n" + $0 },
        both("text behind") { $0 + "\nand that is - all.\n" },
        certificate("text between") { $0 + "\nThe issuer:\n" + text(TestPKI.authority.certificate) },
        key("its parameters before it") {
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + $0
        },
        both("bag attributes") {
            "Bag Attributes\n    friendlyName: \u{e4}\n    localKeyID: 01 02\nsubject=CN = localhost\n\n" + $0
                + "Key Attributes: <No Attributes>\n"
        },
        both("what -text prints") { "Certificate:\n    Data:\n        Version: 3 (0x2)\n" + $0 },
        both("CR LF") { $0.replacing("\n", with: "\r\n") },
        both("CR alone") { $0.replacing("\n", with: "\r") },
        both("no line end at the end") { String($0.dropLast()) },
        both("spaces at the ends of lines") { $0.replacing("\n", with: " \t\n") },
        both("empty lines between") { $0.replacing("\n", with: "\n\n") },
        both("one long line") { text in
            var lines = text.split(separator: "\n")
            let inside = lines[1..<lines.count - 1].joined()
            lines.replaceSubrange(1..<lines.count - 1, with: [Substring(inside)])
            return lines.joined(separator: "\n")
        },
        both("a rule of dashes") { "-----\n" + $0 + "-----\n" },
        certificate("the key behind it") { $0 + text(TestPKI.leaf.key) },
        key("the certificate before it") { text(TestPKI.leaf.certificate) + $0 },

        both("a byte order mark", complaint: "byte order mark") { "\u{FEFF}" + $0 },
        both("indented", complaint: "not alone on its line") { "  " + $0.replacing("\n", with: "\n  ") },
        both("half a block behind", complaint: "cut off") { $0 + "-----BEGIN CERTIFICATE-----\nMIIB\n" },
        both("the first dashes of another block", complaint: "cut off") { $0 + "-----BEG" },
        both("another word at the end", complaint: "closes BEGIN") {
            $0.replacing("-----END ", with: "-----END X")
        },
        both("a letter of no base64", complaint: "not base64") { text in
            var lines = text.split(separator: "\n").map(String.init)
            lines[1] = "*" + lines[1].dropFirst()
            return lines.joined(separator: "\n")
        },
        both("a group cut short", complaint: "badly padded") { text in
            var lines = text.split(separator: "\n").map(String.init)
            lines[1].removeLast()
            return lines.joined(separator: "\n")
        },
        certificate("headers in the block", complaint: "has headers") {
            $0.replacing("CERTIFICATE-----\nMI", with: "CERTIFICATE-----\nComment: mine\n\nMI")
        },
        certificate("OpenSSL's trusted form", complaint: "CERTIFICATE") {
            $0.replacing(" CERTIFICATE", with: " TRUSTED CERTIFICATE")
        },
        key("two keys", complaint: "2 private keys in one file") { $0 + $0 },
        key("encrypted, PKCS #8", complaint: "encrypted with a passphrase") { _ in
            TestPKI.run("openssl pkcs8 -topk8 -passout pass:a -in \(TestPKI.leaf.keyPath)")
        },
        key("encrypted, the old form", complaint: "encrypted with a passphrase") { _ in
            TestPKI.run("openssl ec -aes128 -passout pass:a -in \(TestPKI.leaf.keyPath) 2>/dev/null")
        },
        key("OpenSSH's form", complaint: "ssh-keygen") { $0.replacing(" PRIVATE", with: " OPENSSH PRIVATE") },
        both("empty", complaint: "") { _ in "" },
    ]

    @Test(arguments: rows) func areReadAlike(_ row: Row) throws {
        let certificate = Array(row.certificate(Self.text(TestPKI.leaf.certificate)).utf8)
        let key = Array(row.key(Self.text(TestPKI.leaf.key)).utf8)
        let changesKey = key != TestPKI.leaf.key, changesCertificate = certificate != TestPKI.leaf.certificate

        // Each half by itself, so that one which is refused does not hide the other.
        let taken = failure(certificate: certificate, key: TestPKI.leaf.key)
        let verified = fileErrors(certificate)
        #expect((taken == nil) == verified.isEmpty, "\(row): \(String(describing: taken)), \(verified)")
        #expect((taken == nil) == (row.complaint == nil || !changesCertificate))
        let takenKey = failure(certificate: TestPKI.leaf.certificate, key: key)
        let verifiedKey = CertificateRequirements(now: 0).checkKey(
            file: key, certificateFile: TestPKI.leaf.certificate)
        #expect((takenKey == nil) == verifiedKey.isEmpty, "\(row): \(String(describing: takenKey)), \(verifiedKey)")
        #expect((takenKey == nil) == (row.complaint == nil || !changesKey))

        guard let complaint = row.complaint, !complaint.isEmpty else { return }
        for reason in [taken, takenKey].compactMap(\.self) + verified.map(\.found) + verifiedKey.map(\.found) {
            #expect(reason.contains(complaint), "\(row)")
        }
    }

    /// What the proxy says, or nil if it takes the pair.
    private func failure(certificate: [UInt8], key: [UInt8]) -> String? {
        do throws(TLSIdentityError) { _ = try TLSIdentity(certificates: certificate, privateKey: key) } catch {
            return error.reason
        }
        return nil
    }

    /// What `setup verify` says of a certificate's file as a file.
    private func fileErrors(_ certificate: [UInt8]) -> [Finding] {
        CertificateRequirements(now: 0).checkServer(
            file: certificate, authorityFile: TestPKI.authority.certificate, tunnelDomain: "example.com"
        ).filter { $0.rule == .pem && $0.severity == .error }
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
