import Glibc
import TunnelCore
import TunnelIO
import TunnelPKI

/// What all scenarios share: a directory with certificates and logs, and the upstream.
final class Workshop {
    /// The certificate that a server shows.
    enum Identity: String {
        case p256, rsa4096
        var keyType: KeyType { self == .p256 ? .ecdsaP256 : .rsa4096 }
    }

    let directory: String
    let upstreamPort: UInt16
    let proxyPath: String
    private let upstream: ChildProcess
    private let authority: CertificateAuthority
    private var identities: Set<Identity> = []
    private static let ownPath = "/proc/self/exe"

    init(_ options: RunOptions) throws {
        proxyPath = try Workshop.findProxy(options)
        var template = Array("/tmp/tunnel-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchError.system("mkdtemp") }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        do {
            authority = try CertificateAuthority.generate(commonName: "bench CA", now: Int64(time(nil)))
            try TextFile.write(authority.certificate.pem, to: directory + "/ca.pem")
            upstream = try ChildProcess(Workshop.ownPath, ["upstream"], errorFile: directory + "/upstream.log")
            guard let line = upstream.readLine(seconds: 10), let text = line.split(separator: ":").last,
                let port = UInt16(text)
            else { throw BenchError("the upstream did not start") }
            upstreamPort = port
        } catch {
            // An initialiser that throws runs no deinit.
            TextFile.removeTree(directory)
            throw error
        }
    }

    deinit {
        upstream.stop()
        TextFile.removeTree(directory)
    }

    private static func findProxy(_ options: RunOptions) throws(BenchError) -> String {
        var path = options.proxyPath ?? ""
        if path.isEmpty {
            var room = [UInt8](repeating: 0, count: 4096)
            let count = readlink(ownPath, &room, room.count)
            guard count > 0 else { throw .system("readlink") }
            let own = String(decoding: room[..<count], as: UTF8.self)
            path = own.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 } + "/mcp-proxy"
        }
        guard access(path, X_OK) == 0 else {
            throw BenchError("no proxy at \(path): build it with swift build -c release --product mcp-proxy")
        }
        return path
    }

    var caFile: String { directory + "/ca.pem" }

    /// Paths of certificate and key, which are made when they are first asked for.
    func files(_ identity: Identity) throws -> (certificate: String, key: String) {
        let paths = ("\(directory)/\(identity.rawValue).crt", "\(directory)/\(identity.rawValue).key")
        if identities.insert(identity).inserted {
            let made = try authority.issueServerIdentity(
                domain: LoadTarget.domain, keyType: identity.keyType, now: Int64(time(nil)))
            try TextFile.write(made.certificate.pem, to: paths.0)
            try TextFile.write(made.key.pem, to: paths.1)
        }
        return paths
    }

    /// A port of 127.0.0.1 that is free now.
    func freePort() throws -> UInt16 {
        let listener = try Listener(.ip(IPAddress(v4: 0x7F00_0001), port: 0), isShared: false)
        guard case .ip(_, let port) = listener.address else { throw BenchError("no free port") }
        return port
    }

    /// Runs one load on a server, and another beside it, whose results get a `beside_` before their names.
    ///
    /// The other begins while the first warms up, and ends after it.
    func measure(
        _ load: LoadOptions, beside: LoadOptions? = nil, on server: any MeasuredServer
    ) throws -> Measurement {
        var load = load
        aim(&load, at: server)
        load.others = [upstream.process]
        var other: ChildProcess?
        if var beside {
            aim(&beside, at: server)
            beside.delay = load.warmUp / 2
            (beside.warmUp, beside.seconds) = (load.warmUp / 2, load.seconds + 0.1)
            let child = try ChildProcess(Workshop.ownPath, ["load"] + beside.arguments, errorFile: errors)
            load.others.append(child.process)
            other = child
        }
        let child = try ChildProcess(Workshop.ownPath, ["load"] + load.arguments, errorFile: errors)
        var measurement = try result(of: child, load, on: server)
        if let other {
            measurement.add(try result(of: other, load, on: server), prefix: "beside_")
            // What the server spent is for both.
            measurement.remove("cpu_us_per_operation")
        }
        server.emptyLogs()
        return measurement
    }

    private var errors: String { directory + "/load.log" }

    private func aim(_ load: inout LoadOptions, at server: any MeasuredServer) {
        load.target.mode = server.mode
        load.target.port = server.port
        load.target.caFile = caFile
        load.watched = server.processes
    }

    private func result(
        of child: ChildProcess, _ load: LoadOptions, on server: any MeasuredServer
    ) throws(BenchError) -> Measurement {
        let (text, isGood) = child.readAll(seconds: load.seconds + load.warmUp + 90)
        child.stop()
        guard isGood, let measurement = Measurement(text) else {
            let reason = String(decoding: TextFile.read(errors) ?? [], as: UTF8.self)
            throw BenchError("load on \(server.name) failed: \(reason)\(server.lastWords)")
        }
        return measurement
    }
}

/// What a load process has printed: names and numbers.
struct Measurement {
    private(set) var values: [String: Double] = [:]
    private(set) var cipher = ""

    init?(_ text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2 else { continue }
            if words[0] == "cipher" { cipher = String(words[1]) } else { values[String(words[0])] = Double(words[1]) }
        }
        if values["seconds"] == nil { return nil }
    }

    init(values: [String: Double], cipher: String = "") { (self.values, self.cipher) = (values, cipher) }

    mutating func add(_ other: Measurement, prefix: String) {
        for (name, value) in other.values { values[prefix + name] = value }
    }

    mutating func remove(_ name: String) { values[name] = nil }

    subscript(_ name: String) -> Double { values[name] ?? 0 }
}
