import Foundation

/// Certificates made once per run with the openssl command, good ones and bad ones.
enum ServerCertificates {
    static let folder: URL = {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tunnel-api-\(UUID().uuidString)")
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        atexit { try? FileManager.default.removeItem(at: ServerCertificates.folder) }
        // The system's file adds extensions of its own.
        try? Data("[req]\ndistinguished_name=dn\n[dn]\n".utf8).write(to: folder.appendingPathComponent("req.cnf"))
        return folder
    }()

    static let authority = selfSigned("ca", "basicConstraints=critical,CA:TRUE")
    static let localhost = signed("localhost", "DNS:localhost")
    static let behindProxy = signed("behind", "DNS:api.example")
    static let otherName = signed("other", "DNS:other.example")
    static let expired = signed("expired", "DNS:localhost", days: -1)
    static let stranger = selfSigned("stranger", "subjectAltName=DNS:localhost")

    /// The certificate of that name as PEM.
    static func pem(_ name: String) -> [UInt8] {
        [UInt8]((try? Data(contentsOf: folder.appendingPathComponent("\(name).crt"))) ?? Data())
    }

    private static let newKey = "openssl req -config req.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

    private static func selfSigned(_ name: String, _ extra: String) -> String {
        run("\(newKey) -keyout \(name).key -subj /CN=\(name) -x509 -days 2 -addext \(extra) -out \(name).crt")
        return name
    }

    private static func signed(_ name: String, _ names: String, days: Int = 2) -> String {
        run(
            "\(newKey) -keyout \(name).key -subj /CN=\(name) -addext subjectAltName=\(names) -out \(name).csr"
                + " && openssl x509 -req -in \(name).csr -copy_extensions copy -days \(days)"
                + " -CA \(authority).crt -CAkey \(authority).key -out \(name).crt")
        return name
    }

    private static func run(_ command: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", command]
        process.currentDirectoryURL = folder
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try? process.run()
        process.waitUntilExit()
    }
}
