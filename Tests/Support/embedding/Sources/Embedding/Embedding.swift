import Configuration
import Glibc
import Logging
import Metrics
import ServiceLifecycle
import Synchronization
import TunnelAPI
import TunnelCore
import TunnelPKI
import TunnelProxy
import TunnelSetup

/// Runs the snippets of README.md and docs/embedding.md and checks that they do what they say. The argument is a folder
/// to put files in; the environment leads to a fake of the Tunnels API.
@main enum Embedding {
    static func main() async throws {
        let now = Int64(time(nil))
        try await checkProxy(folder: CommandLine.arguments[1], now: now)
        try checkWebSocket()
        try checkHandshake()
        expect(try shakeHands(host: "echo.t.example", now: now), "hello")
        try checkRouting()
        let request = Array("POST /mcp?x=1 HTTP/1.1\r\nHost: echo.t.example\r\n\r\n".utf8)
        expect(try summary(of: Array(request.dropLast(2))), nil)
        expect(try summary(of: request), "POST echo.t.example /mcp")
        try await checkProvisioning(folder: CommandLine.arguments[1], now: now)
        print("the snippets compile and do what they say")
    }

    /// With files as an operator has them.
    private static func checkProxy(folder: String, now: Int64) async throws {
        let authority = try CertificateAuthority.generate(now: now)
        let identity = try authority.issueServerIdentity(domain: "t.example", keyType: .ecdsaP256, now: now)
        write(identity.certificate.pem, to: "\(folder)/tls.crt")
        write(try identity.key.pem, to: "\(folder)/tls.key")
        let configuration = """
            listen_addr: 127.0.0.1:0
            tunnel_domain: t.example
            tls: {cert_file: \(folder)/tls.crt, key_file: \(folder)/tls.key}
            routes: {echo: "http://10.0.0.7:9000"}
            """
        write(Array(configuration.utf8), to: "\(folder)/config.yaml")
        let (started, continuation) = AsyncStream<ProxyServer>.makeStream()
        let serving = Task { try await serve("\(folder)/config.yaml") { continuation.yield($0) } }
        for await server in started {
            expect(server.state, .running)
            expect(server.port ?? 0 > 0, true)
            serving.cancel()
            break
        }
        expect(try await serving.value, true)
        try await checkShims(folder: folder)
    }

    /// The proxy among a program's services, with its logger, its metrics and its configuration.
    private static func checkShims(folder: String) async throws {
        let values = [
            "tls.certFile": "\(folder)/tls.crt", "tls.keyFile": "\(folder)/tls.key", "host": "echo.t.example",
            "upstream": "http://10.0.0.7:9000", "port": "0",
        ]
        let lines = Logger.Lines()
        let log = Log(threshold: .info, format: .text, sink: LoggerSink(Logger(lines))) { UnixTime(seconds: 0) }
        let server = try ProxyServer(
            configuration: try configuration(from: ConfigReader(values: values)), log: log)
        try server.start()
        let scraped = await scrape(server, accept: "application/openmetrics-text")
        expect(scraped.contentType.hasPrefix("application/openmetrics-text"), true)
        expect(String(decoding: scraped.body, as: UTF8.self).contains("mcp_tunnel_tunnels_open 0\n"), true)
        let shutdown = GracefulShutdown()
        let service = Task { try await shutdown.run(ProxyService(server: server)) }
        let recording = Task { try await record(server, every: .milliseconds(1)) }
        shutdown.begin()
        try await service.value
        try await recording.value
        expect(server.state, .stopped)
        expect(lines.all.filter { $0.hasSuffix("stopped clean=true") }, ["info stopped clean=true"])
        expect(Gauge.values.withLock { $0["mcp_proxy_connections"] }, 0)
    }

    private static func checkWebSocket() throws {
        var client = WebSocketMessages(role: .client)
        var server = WebSocketMessages(role: .server)
        var sent = ByteBuffer()
        var answered = ByteBuffer()
        try client.send(text: "hello", output: &sent)
        let answer = try echo(&server, sent.array)
        client.receive(answer.span)
        expect(try client.next(output: &answered), .text("hello"))
    }

    private static func checkHandshake() throws {
        let client = try ClientHandshake(host: "a.example", headers: [("Authorization", "Bearer t")])
        var sent = ByteBuffer()
        client.appendRequest(into: &sent)
        var received = sent.array + [0x81]
        var handshake = ServerHandshake()
        var output = ByteBuffer()
        var early = Array(received.prefix(40))
        expect(try accept(&handshake, &early, token: "t", output: &output) == nil, true)
        expect(try accept(&handshake, &received, token: "t", output: &output)?.isOpen, true)
        expect(received, [0x81])
        expect(try client.check(output.array.span)?.consumed, output.count)
        output.removeAll()
        received = sent.array
        do throws(ServerHandshake.Refusal) {
            handshake = ServerHandshake()
            _ = try accept(&handshake, &received, token: "another", output: &output)
            expect("accepted", "refused")
        } catch { expect(error.status, 401) }
        expect(String(decoding: output.array, as: UTF8.self).contains("\r\nWWW-Authenticate: Bearer\r\n"), true)
    }

    private static func checkRouting() throws {
        expect(try upstream(for: "ECHO.t.example:443"), "http://10.0.0.7:9000")
        expect(try upstream(for: "login.example.com"), "https://sso.example.com:8443")
        expect(try upstream(for: "login.t.example"), nil)
        expect(try mayDial("10.1.2.3", port: 80, allowed: ["10.0.0.0/8"]), "allowed_by_rule")
        expect(try mayDial("169.254.169.254", port: 80, allowed: ["0.0.0.0/0"]), "denied_metadata")
        expect(try mayDial("somewhere", port: 80, allowed: []), nil)
    }

    /// First in memory through a transport of our own, then in a folder.
    private static func checkProvisioning(folder: String, now: Int64) async throws {
        var environment: [String: String] = [:]
        for name in [
            "API_URL", "ANTHROPIC_FEDERATION_RULE_ID", "ANTHROPIC_ORGANIZATION_ID", "ANTHROPIC_IDENTITY_TOKEN",
        ] { environment[name] = getenv(name).map { String(cString: $0) } }
        let service = environment["API_URL"] ?? ""
        expect(try await domains(at: service, environment: environment), [])

        let lines = Lines()
        let transport = LoggedTransport(transport: try HTTPSTransport(), log: lines.append)
        let context = SetupContext(
            now: { UnixTime(seconds: now) }, pause: { await transport.pause($0) }, report: lines.append)
        let client = TunnelsClient(
            service: try ServiceURL(service), credential: try APICredential(environment: environment),
            transport: transport)
        let memory = MemoryStore()
        let domain = try await provision(client, into: memory, context)
        expect(try await domains(at: service, environment: environment), [domain])
        let stored = try await memory.load()
        expect(stored.text(.tunnelDomain), domain)
        // All but the state of unfinished work, and the three that a tunnel leaves which is not used any more.
        expect(stored.keys.count, StoreKey.allCases.count - 4)
        expect(lines.all.contains("POST \(service)/v1/tunnels: HTTP 200"), true)
        expect(lines.all.contains { $0.contains(stored.text(.tunnelToken) ?? "") }, false)
        // Again: nothing is missing, so nothing is asked for but how things are, the token in force among them.
        lines.clear()
        expect(try await provision(client, into: memory, context), domain)
        expect(lines.all.contains { $0.hasPrefix("POST") && !$0.contains("reveal_token") }, false)
        do {
            _ = try await memory.write(StoreChanges(), over: StoreContents())
            expect("written over what was not read", "refused")
        } catch { expect(error.code, .conflict) }

        let data = "\(folder)/data"
        let other = try await provision(client, into: DirectoryStore.open(path: data, for: .writing), context)
        expect(other == domain, false)
        expect(try await problems(in: data, now: now), [])
        expect(try await renew(data, context), false)
        let soon = SetupContext(now: { UnixTime(seconds: now + 61 * 86_400) }, pause: context.pause)
        expect(try await problems(in: data, now: now + 61 * 86_400).isEmpty, false)
        expect(try await renew(data, soon), true)
        expect(try await problems(in: data, now: now + 61 * 86_400), [])
    }

    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func append(_ line: String) { lines.withLock { $0.append(line) } }
        func clear() { lines.withLock { $0 = [] } }
    }

    private static func expect<T: Equatable>(_ value: T, _ expected: T, line: Int = #line) {
        if value == expected { return }
        print("Embedding.swift:\(line): \(value) instead of \(expected)")
        exit(1)
    }

    private static func write(_ bytes: [UInt8], to path: String) {
        guard let file = fopen(path, "w") else { return expect(path, "a file that can be written") }
        expect(fwrite(bytes, 1, bytes.count, file), bytes.count)
        fclose(file)
    }
}
