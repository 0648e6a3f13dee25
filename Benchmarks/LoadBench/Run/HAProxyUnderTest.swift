import Glibc

/// HAProxy of the distribution, terminating TLS in front of the same upstream, without the WebSocket layer.
final class HAProxyUnderTest: MeasuredServer {
    let name = "HAProxy"
    let mode = LoadTarget.Mode.direct
    let port: UInt16
    let startSeconds: Double
    let logFiles: [String]
    private let child: ChildProcess

    /// - Parameter load: what it is set for.
    init(_ workshop: Workshop, identity: Workshop.Identity, load: LoadOptions) throws {
        port = try workshop.freePort()
        let files = try workshop.files(identity)
        let base = "\(workshop.directory)/haproxy-\(port)"
        logFiles = ["\(base).log"]
        // It wants both in one file.
        let pem = try [files.certificate, files.key].map { path throws(BenchError) in
            guard let bytes = TextFile.read(path) else { throw BenchError("cannot read \(path)") }
            return bytes
        }
        try TextFile.write(Array(pem.joined()), to: "\(base).pem")
        try TextFile.write(
            Self.configuration(port: port, pem: "\(base).pem", upstreamPort: workshop.upstreamPort, load: load),
            to: "\(base).cfg")
        let started = Clock.now()
        child = try ChildProcess("haproxy", ["-db", "-f", "\(base).cfg"], errorFile: logFiles[0])
        do throws(BenchError) {
            startSeconds = try Self.awaitPort(port, of: name) - started
        } catch {
            child.stop()
            throw BenchError("\(error)\n" + String(decoding: TextFile.read(logFiles[0]) ?? [], as: UTF8.self))
        }
    }

    /// One process with a thread for each processor.
    var processes: [pid_t] { [child.process] }

    /// What our proxy does too is left on: a line of log for a request, session tickets, TLS 1.3 with AES-128-GCM and
    /// X25519, keep-alive on both sides. For the rest it is set for its load:
    ///
    /// - Downloads and uploads: buffers of 64 KiB instead of 16.
    /// - Event streams: what has come is sent at once, which is not its default.
    /// - Its own HTTP client, which nothing uses, would read all CAs of the system at the start.
    private static func configuration(port: UInt16, pem: String, upstreamPort: UInt16, load: LoadOptions) -> String {
        let isBulk = load.kind == .download || load.kind == .upload
        let isEvents = load.kind == .events || load.kind == .idle
        return """
            global
                maxconn 8192
                log stderr format raw local0
                httpclient.ssl.verify none
                ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
                ssl-default-bind-options ssl-min-ver TLSv1.3
                tune.h2.max-concurrent-streams 1100
                \(isBulk ? "tune.bufsize 65536" : "")
            defaults
                mode http
                log global
                option httplog
                \(isEvents ? "option http-no-delay" : "")
                timeout connect 5s
                timeout client 1h
                timeout server 1h
                timeout http-request 1h
                timeout http-keep-alive 1h
                http-reuse always
            frontend tunnel
                bind 127.0.0.1:\(port) ssl crt \(pem) curves X25519 alpn \(load.streams > 0 ? "h2," : "")http/1.1 backlog 4096
                default_backend app
            backend app
                server app 127.0.0.1:\(upstreamPort) pool-max-conn 1100 pool-purge-delay 1h

            """
    }
}
