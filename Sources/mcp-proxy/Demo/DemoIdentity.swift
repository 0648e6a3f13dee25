import Glibc
import TunnelIO
import TunnelPKI

/// Who the proxy of the demo is: the files that it reads its certificate from, and the CA that the far side trusts.
struct DemoIdentity {
    let domain: String
    /// What the far side trusts, in PEM.
    let authority: [UInt8]
    let fingerprint: String
    private let folder: String
    /// Whether the files exist for the demo only, until `removeFiles`.
    let isThrowAway: Bool

    var certificateFile: String { "\(folder)/tls.crt" }
    var keyFile: String { "\(folder)/tls.key" }

    /// What setup has written to `folder`.
    init(folder: String) throws {
        guard access("\(folder)/tunnel-domain", F_OK) == 0 else {
            throw DemoError(
                "\(folder) has no tunnel-domain: name the folder that setup init or generate-certs has written")
        }
        let domain = String(decoding: try FileBytes.read("\(folder)/tunnel-domain"), as: UTF8.self)
        self.domain = domain.split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
        authority = try FileBytes.read("\(folder)/ca.crt")
        fingerprint = try Certificate.all(pem: try FileBytes.read("\(folder)/tls.crt"))[0].fingerprint
        self.folder = folder
        isThrowAway = false
    }

    /// Makes both, and puts certificate and key into a folder that only this user can enter.
    init(domain: String) throws {
        let now = Int64(time(nil))
        let authority = try CertificateAuthority.generate(commonName: "mcp-proxy demo CA", now: now)
        let identity = try authority.issueServerIdentity(domain: domain, keyType: .ecdsaP256, now: now)
        self.authority = authority.certificate.pem
        fingerprint = identity.certificate.fingerprint
        self.domain = domain
        isThrowAway = true
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
        guard isThrowAway else { return }
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

/// Why the demo cannot go on, in words for whoever runs it.
struct DemoError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }

    /// A system call that failed just now.
    static func system(_ operation: String) -> DemoError {
        DemoError("\(operation): \(String(cString: strerror(errno)))")
    }
}
