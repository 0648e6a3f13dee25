import Glibc

/// A server under measurement, running until this object goes.
protocol MeasuredServer: AnyObject {
    var name: String { get }
    var mode: LoadTarget.Mode { get }
    var port: UInt16 { get }
    /// The processes that do its work.
    var processes: [pid_t] { get }
    var logFiles: [String] { get }
    /// From the start of the process to the first connection that it accepts, in seconds.
    var startSeconds: Double { get }
}

extension MeasuredServer {
    /// Keeps a long run from filling the disk.
    func emptyLogs() { for file in logFiles { truncate(file, 0) } }

    /// The end of its logs, for an error message.
    var lastWords: String {
        logFiles.map { file in
            "\n\(file):\n" + String(decoding: (TextFile.read(file) ?? []).suffix(1000), as: UTF8.self)
        }.joined()
    }

    /// Waits until the port takes connections; the time of that.
    static func awaitPort(_ port: UInt16, of name: String) throws(BenchError) -> Double {
        let end = Clock.now() + 15
        while Clock.now() < end {
            let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
            defer { close(descriptor) }
            // From another address: a socket that happened to get the server's own port would be connected to itself.
            var source = LoopbackAddress.make(host: 2, port: 0)
            var address = LoopbackAddress.make(host: 1, port: port)
            if LoopbackAddress.withPointer(&source, { bind(descriptor, $0, $1) }) == 0,
                LoopbackAddress.withPointer(&address, { connect(descriptor, $0, $1) }) == 0
            {
                return Clock.now()
            }
            usleep(200)
        }
        throw BenchError("\(name) does not listen after 15 seconds")
    }
}

/// `mcp-proxy` with a configuration of its own.
final class ProxyUnderTest: MeasuredServer {
    let name = "mcp-proxy"
    let mode = LoadTarget.Mode.tunnel
    let port: UInt16
    let startSeconds: Double
    let logFiles: [String]
    private let child: ChildProcess

    init(_ workshop: Workshop, identity: Workshop.Identity, routes: Int, settings: String) throws {
        port = try workshop.freePort()
        let files = try workshop.files(identity)
        var text = """
            \(settings)listen_addr: "127.0.0.1:\(port)"
            tunnel_domain: \(LoadTarget.domain)
            tls:
              cert_file: \(files.certificate)
              key_file: \(files.key)
            upstream:
              allowed_ips: [127.0.0.1]
            routes:

            """
        for index in 0..<routes { text += "  r\(index): http://127.0.0.1:\(workshop.upstreamPort)\n" }
        let configuration = "\(workshop.directory)/proxy-\(port).yaml"
        try TextFile.write(text, to: configuration)
        logFiles = ["\(workshop.directory)/proxy-\(port).log"]
        let started = Clock.now()
        child = try ChildProcess(workshop.proxyPath, ["-config", configuration], errorFile: logFiles[0])
        do throws(BenchError) {
            startSeconds = try Self.awaitPort(port, of: name) - started
        } catch {
            child.stop()
            throw BenchError("\(error)\n" + String(decoding: TextFile.read(logFiles[0]) ?? [], as: UTF8.self))
        }
    }

    var processes: [pid_t] { [child.process] }
}
