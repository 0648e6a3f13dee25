import Glibc
import TunnelPKI

/// A CA that exists for the demo only, and the files that the proxy reads its certificate from, until `removeFiles`.
struct DemoIdentity {
    /// What the far side trusts, in PEM.
    let authority: [UInt8]
    let fingerprint: String
    private let folder: String

    var certificateFile: String { "\(folder)/tls.crt" }
    var keyFile: String { "\(folder)/tls.key" }

    /// Makes both, and puts certificate and key into a folder that only this user can enter.
    init(domain: String) throws {
        let now = Int64(time(nil))
        let authority = try CertificateAuthority.generate(commonName: "mcp-proxy demo CA", now: now)
        let identity = try authority.issueServerIdentity(domain: domain, keyType: .ecdsaP256, now: now)
        self.authority = authority.certificate.pem
        fingerprint = identity.certificate.fingerprint
        folder = try Self.makeFolder()
        do {
            try Self.write(identity.certificate.pem, to: certificateFile)
            try Self.write(identity.key.pem, to: keyFile)
        } catch {
            removeFiles()
            throw error
        }
    }

    func removeFiles() {
        unlink(certificateFile)
        unlink(keyFile)
        rmdir(folder)
    }

    private static func makeFolder() throws(DemoError) -> String {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? ""
        var path = Array("\(parent.isEmpty ? "/tmp" : parent)/mcp-proxy-demo-XXXXXX".utf8CString)
        let isMade = mkdtemp(&path) != nil
        let name = String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard isMade else { throw DemoError.system("mkdtemp \(name)") }
        return name
    }

    private static func write(_ bytes: [UInt8], to path: String) throws(DemoError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw DemoError.system("open \(path)") }
        defer { close(descriptor) }
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw DemoError.system("write \(path)")
        }
    }
}
