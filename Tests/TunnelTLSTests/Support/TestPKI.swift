import Glibc
import TunnelTLS

/// A certificate and its key as files and as bytes.
struct TestPair: Sendable, CustomStringConvertible {
    let name: String
    var certificatePath: String { "\(TestPKI.directory)/\(name).crt" }
    var keyPath: String { "\(TestPKI.directory)/\(name).key" }
    var certificate: [UInt8] { TestPKI.read(certificatePath) }
    var key: [UInt8] { TestPKI.read(keyPath) }
    var description: String { name }

    func identity() throws -> TLSIdentity { try TLSIdentity(certificates: certificate, privateKey: key) }
}

/// Certificates made once per run with the openssl command: nothing secret lies in the repository and nothing expires.
enum TestPKI {
    static let directory: String = {
        var template = Array("/tmp/tunnel-tls-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { return "/nonexistent" }
        let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // The system's file adds extensions of its own.
        run("printf '[req]\\ndistinguished_name=dn\\n[dn]\\n' > \(path)/req.cnf")
        atexit { run("rm -rf \(TestPKI.directory)") }
        return path
    }()

    static let p256 = "ec -pkeyopt ec_paramgen_curve:P-256"
    static let names = "subjectAltName=DNS:localhost,DNS:*.example.com,IP:127.0.0.1,IP:::1"

    static let authority = selfSigned("ca", p256, extra: "-addext basicConstraints=critical,CA:TRUE")
    static let stranger = selfSigned("stranger", p256, extra: "-addext basicConstraints=critical,CA:TRUE")
    static let leaf = signed("leaf", p256)
    static let rsa = signed("rsa", "rsa:2048")
    /// The leaf's key under the stranger's CA.
    static let sameKeyOtherCA = reissued("same-key-other-ca", by: stranger)
    /// The leaf's key under its own CA, once more.
    static let sameKeyRenewed = reissued("same-key-renewed", by: authority)
    static let weak = signed("weak", "rsa:1024")
    /// The common name is `localhost`, and nothing else says so.
    static let nameless = signed("nameless", p256, extension: "basicConstraints=critical,CA:FALSE")
    static let expired: TestPair = {
        let path = directory
        run(
            "openssl req -config \(path)/req.cnf -new -newkey \(p256) -nodes -keyout \(path)/expired.key"
                + " -subj /CN=localhost -addext \(names) -out \(path)/expired.csr"
                + " && openssl x509 -req -in \(path)/expired.csr -copy_extensions copy -days -1"
                + " -CA \(authority.certificatePath) -CAkey \(authority.keyPath) -out \(path)/expired.crt")
        return TestPair(name: "expired")
    }()

    static func selfSigned(_ name: String, _ key: String, extra: String) -> TestPair {
        run(
            "openssl req -config \(directory)/req.cnf -x509 -newkey \(key) -nodes -days 2 -subj /CN=\(name)"
                + " -keyout \(directory)/\(name).key -out \(directory)/\(name).crt \(extra)")
        return TestPair(name: name)
    }

    static func signed(_ name: String, _ key: String, extension text: String = names) -> TestPair {
        run(
            "openssl req -config \(directory)/req.cnf -x509 -newkey \(key) -nodes -days 2 -subj /CN=localhost"
                + " -CA \(authority.certificatePath) -CAkey \(authority.keyPath) -addext \(text)"
                + " -keyout \(directory)/\(name).key -out \(directory)/\(name).crt")
        return TestPair(name: name)
    }

    private static func reissued(_ name: String, by ca: TestPair) -> TestPair {
        run(
            "cp \(leaf.keyPath) \(directory)/\(name).key && openssl req -config \(directory)/req.cnf -x509 -days 2"
                + " -subj /CN=localhost -key \(leaf.keyPath) -CA \(ca.certificatePath) -CAkey \(ca.keyPath)"
                + " -addext \(names) -out \(directory)/\(name).crt")
        return TestPair(name: name)
    }

    /// Output of a shell command, its errors included.
    @discardableResult
    static func run(_ command: String) -> String {
        guard let pipe = popen("{ \(command); } 2>&1", "r") else { return "" }
        let bytes = drain(pipe)
        pclose(pipe)
        return String(decoding: bytes, as: UTF8.self)
    }

    static func read(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        return drain(file)
    }

    static func write(_ bytes: [UInt8], to name: String) -> String {
        let path = "\(directory)/\(name)"
        guard let file = fopen(path, "w") else { return path }
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
        return path
    }

    static func drain(_ file: UnsafeMutablePointer<FILE>) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk[..<count] }
        return bytes
    }
}
