import Glibc
import TunnelPKI
import TunnelTLS
import TunnelTestSupport

@testable import TunnelProxy

/// Certificates made once per run: an authority and a server of `t.example`. Nothing lies in the repository.
enum TestIdentity {
    static let domain = "t.example"

    /// The files' directory, removed when the process ends.
    static let directory: String = {
        var template = Array("/tmp/tunnel-proxy-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { return "/nonexistent" }
        atexit { removeDirectory(TestIdentity.directory) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }()

    struct Pair: Sendable {
        let certificate: [UInt8]
        let key: [UInt8]

        func digest() throws -> IdentityFiles.Digest {
            try IdentityFiles.Digest(of: IdentityFiles.Contents(certificate: certificate, key: key))
        }
    }

    private static let authority: Result<CertificateAuthority, any Error> = Result {
        try CertificateAuthority.generate(now: Int64(time(nil)))
    }

    static func makePair(domain: String = domain) throws -> Pair {
        let identity = try authority.get().issueServerIdentity(
            domain: domain, keyType: .ecdsaP256, now: Int64(time(nil)),
            additionalNames: domain == TestIdentity.domain ? ["localhost"] : [])
        return try Pair(certificate: identity.certificate.pem, key: identity.key.pem)
    }

    static func fingerprint(of pair: Pair) throws -> String {
        try TLSIdentity(certificates: pair.certificate, privateKey: pair.key).fingerprint
    }

    /// The pair that most tests share.
    static let shared = Result { try makePair() }

    /// One whose signatures take long.
    static let rsa = Result {
        let identity = try authority.get().issueServerIdentity(
            domain: domain, keyType: .rsa2048, now: Int64(time(nil)))
        return try Pair(certificate: identity.certificate.pem, key: identity.key.pem)
    }

    static func client(_ protocols: [String] = ["http/1.1"]) throws -> TLSClientContext {
        try TLSClientContext(
            trust: TrustStore(pem: authority.get().certificate.pem), options: TLSClientOptions(alpn: protocols))
    }

    static func authorityFile() throws -> String {
        try write(authority.get().certificate.pem, to: "\(directory)/ca.pem")
    }

    /// The certificate of another authority.
    static func strangerFile() throws -> String {
        let stranger = try CertificateAuthority.generate(commonName: "stranger", now: Int64(time(nil)))
        return try write(stranger.certificate.pem, to: "\(directory)/stranger.pem")
    }

    /// Writes a pair; the files' paths.
    static func files(_ pair: Pair? = nil, name: String = "shared") throws -> (certificate: String, key: String) {
        let pair = if let pair { pair } else { try shared.get() }
        return try (
            write(pair.certificate, to: "\(directory)/\(name).crt"), write(pair.key, to: "\(directory)/\(name).key")
        )
    }

    @discardableResult
    static func write(_ bytes: [UInt8], to path: String) throws -> String {
        let temporary = "\(path).\(UInt64.random(in: 0 ... .max))"
        guard let file = fopen(temporary, "w") else { throw TestError("open \(path)") }
        // As a key should be, or it is a finding.
        chmod(temporary, 0o600)
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
        guard rename(temporary, path) == 0 else { throw TestError("rename \(path)") }
        return path
    }
}

private func removeDirectory(_ path: String) {
    guard path.hasPrefix("/tmp/"), let directory = opendir(path) else { return }
    while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != "." && name != ".." { unlink("\(path)/\(name)") }
    }
    closedir(directory)
    rmdir(path)
}
