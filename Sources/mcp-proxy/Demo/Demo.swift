import Glibc
import TunnelCore
import TunnelIO
import TunnelProxy

/// `mcp-proxy demo`: the whole way of an MCP session on one machine. It makes a throw-away certificate, serves a small
/// MCP server, runs the proxy in front of it, and plays the far side of the tunnel.
struct Demo {
    private static let ownDomain = "demo.tunnel.example"
    private static let route = "hello"

    private let data: String?
    private var domain = ownDomain
    private var host: String { "\(Self.route).\(domain)" }
    private var story = DemoStory()
    private let log = LogLines()
    private var requests = 0

    private init(data: String?) { self.data = data }

    /// - Parameter data: a folder that setup has written; `nil` for a throw-away certificate.
    static func run(data: String?) -> ExitStatus {
        signal(SIGPIPE, SIG_IGN)
        // Before any thread: all of them inherit it, so that an interrupt comes to this one when it is let in again.
        setInterrupts(SIG_BLOCK)
        var demo = Demo(data: data)
        do {
            try demo.tell()
            return .done
        } catch {
            demo.story.failed("\(error)")
            return .failed
        }
    }

    private mutating func tell() throws {
        story.heading("An MCP server in a private network, and a tunnel to it, all on this machine")
        story.begin("MCP server")
        let upstream = try DemoUpstream()
        story.done("127.0.0.1:\(upstream.port), streamable HTTP, one tool")

        story.begin("mcp-proxy")
        let (server, identity) = try startProxy(upstream: upstream.port)
        let port = server.port ?? 0
        story.done("127.0.0.1:\(port), route \(Self.route) -> http://127.0.0.1:\(upstream.port)")
        let origin = data.map { "from \($0)" } ?? "of a throw-away CA"
        story.detail("certificate \(origin) for \(domain) and *.\(domain)")
        drawPicture(proxy: port, upstream: upstream.port)

        var farSide = try reach(port, identity.authority, identity.fingerprint)
        try speak(&farSide)

        story.begin("Close")
        story.done(try farSide.close())
        story.begin("mcp-proxy stops")
        guard server.stopAndWait() else { throw DemoError("requests had to be cut off") }
        try showLog()
        story.heading("It works: \(requests) requests went through the tunnel and back. Next: README.md, \"Run it\".")
    }

    /// What the far side must know of the proxy's identity.
    private struct Trust {
        let authority: [UInt8]
        let fingerprint: String
    }

    private mutating func startProxy(upstream: UInt16) throws -> (ProxyServer, Trust) {
        // Nobody can interrupt before the key is off the disk again.
        defer { Self.setInterrupts(SIG_UNBLOCK) }
        let identity = try data.map { try DemoIdentity(folder: $0) } ?? DemoIdentity(domain: domain)
        domain = identity.domain
        defer { identity.removeFiles() }
        var allowed = ProxyConfiguration.Upstream()
        allowed.allowedIPs = ["127.0.0.0/8"]
        let configuration = try ProxyConfiguration(
            listenAddress: .tcp(host: "127.0.0.1", port: 0),
            tls: ProxyConfiguration.TLS(certFile: identity.certificateFile, keyFile: identity.keyFile),
            routes: [Route(key: Self.route, upstream: try UpstreamAddress("http://127.0.0.1:\(upstream)"))],
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

    private func drawPicture(proxy: UInt16, upstream: UInt16) {
        func cell(_ text: String) -> String { text + String(repeating: " ", count: max(0, 28 - text.count)) }
        print()
        story.picture([
            "far side ══ WebSocket ══> mcp-proxy ─── HTTP/1.1 ───> MCP server",
            "   │                      \(cell("127.0.0.1:\(proxy)"))127.0.0.1:\(upstream)",
            "   └────── inner TLS ─────┘ ends here: only the proxy has the key",
            "   this program, in the place of Claude, the tunnel edge and cloudflared",
        ])
    }

    /// The hops from outside to inside: TCP, WebSocket, TLS.
    private mutating func reach(_ port: UInt16, _ authority: [UInt8], _ fingerprint: String) throws -> FarSide {
        story.begin("TCP")
        var farSide = try FarSide(port: port, host: host, authority: authority)
        story.done("127.0.0.1:\(farSide.port) -> 127.0.0.1:\(port)")

        story.begin("WebSocket")
        try farSide.openWebSocket()
        story.done("101 Switching Protocols, for \(host)")

        story.begin("TLS in the WebSocket")
        try farSide.shakeHands()
        guard farSide.peerFingerprint == fingerprint else { throw DemoError("the proxy showed another certificate") }
        story.done(farSide.agreed)
        story.detail("certificate verified against the CA, for \(host)")
        story.detail("SHA-256 \(fingerprint)")
        return farSide
    }

    // MARK: MCP

    private mutating func speak(_ farSide: inout FarSide) throws {
        let client: JSON = ["name": "mcp-proxy-demo", "version": .string(TunnelProxyVersion.current)]
        let start: JSON = [
            "protocolVersion": .string(HelloServer.protocolVersion), "capabilities": [:], "clientInfo": client,
        ]
        let (initialized, session) = try call("initialize", start, id: 1, session: nil, &farSide)
        guard initialized["protocolVersion"]?.text == HelloServer.protocolVersion, let session else {
            throw DemoError("no session was begun: \(initialized)")
        }
        try notify("notifications/initialized", session, &farSide)

        let (list, _) = try call("tools/list", [:], id: 2, session: session, &farSide)
        guard list["tools"]?.elements?.first?["name"]?.text == "hello" else {
            throw DemoError("no tool hello: \(list)")
        }

        let greet: JSON = ["name": "hello", "arguments": ["name": "tunnel"], "_meta": ["progressToken": "p1"]]
        let (greeting, _) = try call("tools/call", greet, id: 3, session: session, &farSide)
        guard greeting["content"]?.elements?.first?["text"]?.text == "Hello, tunnel!" else {
            throw DemoError("not greeted: \(greeting)")
        }
        story.begin("DELETE")
        try expect(204, try send("DELETE", session, nil, &farSide) { _ in })
        story.done("204, the session is over")
    }

    /// One JSON-RPC request. Its answer comes as the body or as the last event of a stream.
    private mutating func call(
        _ method: String, _ parameters: JSON, id: Int, session: String?, _ farSide: inout FarSide
    ) throws -> (result: JSON, session: String?) {
        let message: JSON = [
            "jsonrpc": "2.0", "id": .number(String(id)), "method": .string(method), "params": parameters,
        ]
        story.begin(method)
        var events: [(time: Duration, data: String)] = []
        let story = story
        let answer = try send("POST", session, message, &farSide) { events.append((story.elapsed, $0)) }
        try expect(200, answer)
        story.done(events.isEmpty ? "200, JSON" : "200, stream of \(events.count) events")
        story.detail("-> \(message)")
        for event in events { story.detail(after: event.time, "<- \(event.data)") }
        let body = events.last?.data ?? String(decoding: answer.body, as: UTF8.self)
        if events.isEmpty { story.detail("<- \(body)") }
        let reply = JSONReader.read(Array(body.utf8))
        guard let reply, reply["jsonrpc"]?.text == "2.0", reply["id"] == message["id"], let result = reply["result"]
        else { throw DemoError("not the answer to \(method): \(body)") }
        return (result, answer.session)
    }

    private mutating func notify(_ method: String, _ session: String, _ farSide: inout FarSide) throws {
        story.begin(method)
        let message: JSON = ["jsonrpc": "2.0", "method": .string(method)]
        try expect(202, try send("POST", session, message, &farSide) { _ in })
        story.done("202")
    }

    private mutating func send(
        _ method: String, _ session: String?, _ message: JSON?, _ farSide: inout FarSide, _ onEvent: (String) -> Void
    ) throws -> FarSide.Answer {
        requests += 1
        return try farSide.exchange(method, session: session, message: message, onEvent: onEvent)
    }

    private func expect(_ status: UInt16, _ answer: FarSide.Answer) throws(DemoError) {
        guard answer.status != status else { return }
        throw DemoError("answered with \(answer.status): \(String(decoding: answer.body.prefix(500), as: UTF8.self))")
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
