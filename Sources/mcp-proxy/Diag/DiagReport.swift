import FoundationEssentials
import Glibc
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelProxy

/// What somebody needs who is to help with a tunnel, and no secret: its parts, each a file of the archive.
///
/// Nothing is taken in and cleaned afterwards. Each part is made of fields that are known to be harmless
/// (``PublicFields`` of the configuration) or of what the proxy shows to everybody who may see its page.
struct DiagReport {
    struct Part: Encodable, Sendable {
        let file: String
        let what: String
        let bytes: Int
        /// Why it is not there.
        var missing: String?
    }

    private struct Manifest: Encodable {
        let schema = 1
        let created: String
        let version: String
        let complete: Bool
        let parts: [Part]
    }

    private(set) var parts: [Part] = []
    private var files: [(name: String, content: [UInt8])] = []
    private let now = SystemClock.now()

    /// What could not be had.
    var missing: [Part] { parts.filter { $0.missing != nil } }

    // MARK: Gathering

    /// Gathers all of it; takes as long as the check of every route.
    init(_ file: ConfigurationFile) {
        add("versions.txt", "versions of the program and its libraries, and of the system") { Self.versions }
        var configuration: ProxyConfiguration?
        add("configuration.txt", "the fields of the configuration that are no secret, as they are on disk") {
            let found = try file.parse(try file.read())
            configuration = found
            return PublicFields.of(found).map { "\($0.name): \($0.value)\n" }.joined()
        }
        add("check.json", "what mcp-proxy check finds, with the verdict on each route") {
            guard configuration != nil else { throw Absence("the configuration cannot be read") }
            return Check.run(CheckOptions(configuration: file.path, tunnelDomain: file.tunnelDomain)).json + "\n"
        }
        let admin = configuration?.adminAddress.map(AdminClient.init)
        addAnswer(of: admin, "/status", to: "status.json", "what the running proxy says of itself")
        addAnswer(of: admin, "/readyz", to: "readyz.json", "whether it is ready, and why not", expecting: [200, 503])
        addAnswer(of: admin, "/metrics", to: "metrics.txt", "what it has counted")
        addAnswer(of: admin, "/logs", to: "log.txt", "the last lines of its log")
        add("limits.txt", "limits of this process and its control group") { Self.limits }
        if let address = configuration?.cloudflaredMetrics {
            add("cloudflared.json", "what cloudflared says of its connections") { try Self.cloudflared(address) }
        }
    }

    private struct Absence: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    private mutating func add(_ name: String, _ what: String, _ make: () throws -> String) {
        addBytes(name, what) { Array(try make().utf8) }
    }

    private mutating func addBytes(_ name: String, _ what: String, _ make: () throws -> [UInt8]) {
        do {
            let content = try make()
            files.append((name, content))
            parts.append(Part(file: name, what: what, bytes: content.count))
        } catch {
            let reason = "\(error)".split(whereSeparator: \.isNewline).joined(separator: "; ")
            parts.append(Part(file: name, what: what, bytes: 0, missing: reason))
        }
    }

    private mutating func addAnswer(
        of admin: AdminClient?, _ path: String, to name: String, _ what: String, expecting statuses: Set<Int> = [200]
    ) {
        addBytes(name, what) {
            guard let admin else { throw Absence("no admin listener: set admin_addr, and start the proxy with it") }
            return try admin.get(path, expecting: statuses)
        }
    }

    // MARK: Parts that are ours

    private static var versions: String {
        var system = utsname()
        uname(&system)
        func text<Field>(_ field: Field) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        // Without the name of the machine.
        let kernel = [text(system.sysname), text(system.release), text(system.machine)].joined(separator: " ")
        let release = (try? FileBytes.read("/etc/os-release")).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let name = release.split(separator: "\n").first { $0.hasPrefix("PRETTY_NAME=") } ?? "PRETTY_NAME=unknown"
        return "\(ProxyProgram.version)\nkernel \(kernel)\n\(name)\ncores \(LoopGroup.availableCores)\n"
    }

    private static var limits: String {
        let groups = ["memory.max", "memory.current", "memory.events", "cpu.max", "pids.max", "pids.current"]
        let files = ["/proc/self/limits"] + groups.map { "/sys/fs/cgroup/\($0)" } + ["/proc/loadavg"]
        return files.map { file in
            let content = (try? FileBytes.read(file)).map { String(decoding: $0, as: UTF8.self) } ?? "not there\n"
            return "== \(file)\n\(content)"
        }.joined()
    }

    private static func cloudflared(_ address: UpstreamAddress) throws -> String {
        struct Ready: Encodable, Sendable {
            let readyConnections: Int
            let connectorID: String?
        }
        let box = ValueBox<CloudflaredStatus>()
        try Loop.run { loop in
            box.set(try await CloudflaredStatus.read(from: address, timeout: 3_000_000_000, on: loop.reactor))
        }
        guard let status = box.value else { throw Absence("no response") }
        return JSONText.of(Ready(readyConnections: status.readyConnections, connectorID: status.connectorID)) + "\n"
    }

    // MARK: The archive

    /// The archive, and its folder's name.
    func archive() throws -> [UInt8] {
        let folder = "mcp-proxy-diag"
        let manifest = Manifest(
            created: now.toTheSecond, version: PackageVersion.current, complete: missing.isEmpty, parts: parts)
        var tar = TarArchive(time: now.seconds)
        tar.add("\(folder)/manifest.json", Array((JSONText.of(manifest) + "\n").utf8))
        for file in files { tar.add("\(folder)/\(file.name)", file.content) }
        tar.finish()
        return try Gzip.compress(tar.bytes)
    }

    /// A name that tells when it was made.
    var usualName: String {
        let digits = now.toTheSecond.filter { $0 != "-" && $0 != ":" }
        return "mcp-proxy-diag-\(digits).tar.gz"
    }
}
