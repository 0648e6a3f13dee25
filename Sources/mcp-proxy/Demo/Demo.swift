import Glibc
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelProxy

/// `mcp-proxy demo`: the whole way of an MCP session on one machine. It makes a throw-away certificate, serves a small
/// MCP server, runs the proxy in front of it, and plays the far side of the tunnel.
struct Demo {
    private static let data = CommandFlag("data", takes: "DIR", "use the domain and certificate that setup wrote")

    static let command = ProxyCommand(
        path: ["demo"], summary: "run the whole path once on this machine, without any set-up", flags: [data],
        example: "mcp-proxy demo"
    ) { arguments in
        signal(SIGPIPE, SIG_IGN)
        // Before any thread: all of them inherit it, so that an interrupt comes to this one when it is let in again.
        setInterrupts(SIG_BLOCK)
        do {
            let folder = arguments[data]
            try Loop.run { loop in
                var demo = Demo(data: folder)
                do { try await demo.play(on: loop.reactor) } catch {
                    demo.story.failed("\(error)")
                    throw error
                }
            }
            return .done
        } catch {
            // It was shown where it happened.
            return .failed
        }
    }

    private static let ownDomain = "demo.tunnel.example"
    private static let route = "hello"
    /// For all that the far side does. Everything happens on one machine; longer means that something is wrong.
    private static let patience = Duration.seconds(10)

    private let data: String?
    private var domain = ownDomain
    private var host: String { "\(Self.route).\(domain)" }
    var story = DemoStory()
    private let log = LogLines()
    var requests = 0

    /// - Parameter data: a folder that setup has written; `nil` for a throw-away certificate.
    private init(data: String?) { self.data = data }

    private mutating func play(on reactor: Reactor) async throws {
        story.heading("An MCP server in a private network, and a tunnel to it, all on this machine")
        story.begin("MCP server")
        let localhost = IPAddress(v4Bytes: 127, 0, 0, 1)
        let listener = try Listener(.ip(localhost, port: 0), isShared: false)
        let upstream = try HelloListener(listener, on: reactor)
        story.done("\(upstream.address), streamable HTTP, one tool")

        story.begin("mcp-proxy")
        let (server, identity) = try startProxy(upstream: upstream.address)
        let address = SocketAddress.ip(localhost, port: server.port ?? 0)
        story.done("\(address), route \(Self.route) -> http://\(upstream.address)")
        let origin = data.map { "from \($0)" } ?? "of a throw-away CA"
        story.detail("certificate \(origin) for \(domain) and *.\(domain)")
        drawPicture(proxy: address, upstream: upstream.address)

        let farSide = try await reach(address, identity.authority, identity.fingerprint, reactor)
        try await speakInSession(farSide)
        try await speakWithoutSession(farSide, upstream)

        story.begin("Close")
        let code = try await farSide.close()
        story.done("in order both ways, WebSocket closed with \(code.map { "\($0.rawValue)" } ?? "no code")")
        story.begin("mcp-proxy stops")
        guard await server.stop() else { throw DemoError("requests had to be cut off") }
        try showLog()
        story.heading("It works: \(requests) requests went through the tunnel and back. Next: README.md, \"Run it\".")
        upstream.drain {}
    }

    /// What the far side must know of the proxy's identity.
    private struct Trust {
        let authority: [UInt8]
        let fingerprint: String
    }

    private mutating func startProxy(upstream: SocketAddress) throws -> (ProxyServer, Trust) {
        // Nobody can interrupt before the key is off the disk again.
        defer { Self.setInterrupts(SIG_UNBLOCK) }
        let identity = try data.map { try DemoIdentity(folder: $0) } ?? DemoIdentity(domain: domain)
        domain = identity.domain
        defer { identity.removeFiles() }
        var allowed = ProxyConfiguration.Upstream()
        allowed.allowedIPs = [try IPPrefix("127.0.0.0/8")]
        let configuration = try ProxyConfiguration(
            listenAddress: .tcp(IPAddress(v4Bytes: 127, 0, 0, 1), port: 0),
            tls: ProxyConfiguration.TLS(certFile: identity.certificateFile, keyFile: identity.keyFile),
            routes: [Route(key: Self.route, upstream: try UpstreamAddress("http://\(upstream)"))],
            tunnelDomain: domain, upstream: allowed)
        let log = Log(threshold: .info, format: .text, sink: log, now: SystemClock.now)
        let server = try ProxyServer(configuration: configuration, log: log)
        try server.start()
        return (server, Trust(authority: identity.authority, fingerprint: identity.fingerprint))
    }

    private static func setInterrupts(_ how: CInt) {
        var set = sigset_t()
        sigemptyset(&set)
        for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&set, number) }
        pthread_sigmask(how, &set, nil)
    }

    private func drawPicture(proxy: SocketAddress, upstream: SocketAddress) {
        func cell(_ text: String) -> String { text + String(repeating: " ", count: max(0, 28 - text.count)) }
        print()
        story.picture([
            "far side ══ WebSocket ══> mcp-proxy ─── HTTP/1.1 ───> MCP server",
            "   │                      \(cell("\(proxy)"))\(upstream)",
            "   └────── inner TLS ─────┘ ends here: only the proxy has the key",
            "   this program, in the place of Claude, the tunnel edge and cloudflared",
        ])
    }

    /// The hops from outside to inside: TCP, WebSocket, TLS.
    private mutating func reach(
        _ address: SocketAddress, _ authority: [UInt8], _ fingerprint: String, _ reactor: Reactor
    ) async throws -> FarSide {
        story.begin("TCP")
        let farSide = try await FarSide.connect(to: address, host: host, within: Self.patience, on: reactor)
        story.done("connected to \(address)")

        story.begin("WebSocket")
        try await farSide.openWebSocket()
        story.done("101 Switching Protocols, for \(host)")

        story.begin("TLS in the WebSocket")
        try await farSide.shakeHands(authority: authority)
        guard farSide.peerFingerprint == fingerprint else { throw DemoError("the proxy showed another certificate") }
        story.done(farSide.agreed)
        story.detail("certificate verified against the CA, for \(host)")
        story.detail("SHA-256 \(fingerprint)")
        return farSide
    }

    // MARK: Log

    private func showLog() throws {
        let started = log.lines("request started").count
        let finished = log.lines("request finished", with: "end=complete").count
        guard started == requests, finished == requests else {
            throw DemoError("the log has \(started) lines 'request started' and \(finished) 'request finished'")
        }
        story.done("drained; its log has two lines for each request, here the first:")
        for line in (log.lines("request started").prefix(1) + log.lines("request finished").prefix(1)) {
            story.detail(line)
        }
    }
}
