import Glibc
import Testing
import TunnelCore
import TunnelIO

@testable import TunnelProxy

/// What a configuration asks of the sandbox, and what of a later one there is no room for.
@Suite struct SandboxRulesTests {
    private func configuration(_ text: String, listen: String = "127.0.0.1:8080") throws -> ProxyConfiguration {
        let base = """
            listen_addr: \(listen)
            tunnel_domain: a.example
            tls: {cert_file: /data/tls.crt, key_file: /keys/tls.key}

            """
        return try .parse(Array((base + text).utf8), file: "config.yaml")
    }

    private func rules(_ text: String, listen: String = "127.0.0.1:8080", environment: [String: String] = [:]) throws
        -> SandboxRules
    {
        try configuration(text, listen: listen).sandboxRules(
            file: "/etc/mcp/config.yaml", system: ["/usr/lib"], environment: environment
        ) { [String($0[..<($0.lastIndex(of: "/") ?? $0.startIndex)])] }
    }

    private let routes = "routes: {echo: 'http://10.0.0.1:9000', auth: 'http://10.0.0.2:8443'}\n"

    @Test func `files are those of the configuration, and the system's`() throws {
        let found = try rules(routes + "upstream: {tls: {ca_file: /ca/ca.pem}}")
        #expect(found.readable.starts(with: ["/etc/mcp", "/data", "/keys", "/ca", "/usr/lib"]))
        #expect(found.writable.isEmpty && found.socketFolders.isEmpty)
    }

    @Test func `ports are those of listeners and routes`() throws {
        let found = try rules(routes + "admin_addr: 127.0.0.1:8081\ncloudflared_metrics: 'http://127.0.0.1:2000'")
        #expect(found.bind == .only([8080, 8081]))
        #expect(found.connect == .only([53, 2000, 8080, 8443, 9000]))
        // The self-test knocks at a port that nobody knows yet.
        #expect(try rules(routes + "admin_addr: 127.0.0.1:8081", listen: ":0").connect == .any)
    }

    @Test func `each tunnel's files and ports are its own`() throws {
        let text = """
            listen_addr: ":8080"
            tunnels:
              a.example:
                tls: {cert_file: /a/tls.crt, key_file: /a-key/tls.key, ticket_keys_file: /a-tickets/keys}
                routes: {echo: 'http://10.0.0.1:9000'}
              b.example:
                tls: {cert_file: /b/tls.crt, key_file: /b/tls.key}
                routes: {echo: 'http://10.0.0.2:9001'}
                route_options: {echo: {set_headers: {X-Key: {file: /b-secrets/key}}}}
            """
        let configuration = try ProxyConfiguration.parse(Array(text.utf8), file: "config.yaml")
        let found = configuration.sandboxRules(file: "/etc/mcp/config.yaml", system: [], environment: [:]) {
            [String($0[..<($0.lastIndex(of: "/") ?? $0.startIndex)])]
        }
        #expect(found.readable.starts(with: ["/etc/mcp", "/a", "/a-key", "/a-tickets", "/b", "/b-secrets"]))
        #expect(found.connect == .only([53, 9000, 9001]))
        var state = SandboxState(mode: .required)
        (state.confinesPorts, state.rules.connect) = (true, .only([53, 9000]))
        let error = #expect(throws: ConfigurationError.self) { try configuration.checkRoom(in: state) }
        #expect(error?.diagnostics.map(\.field) == ["tunnels.b.example.routes.echo"])
        #expect(error?.diagnostics.first?.mark?.line == 8)
    }

    @Test func `a collector is reached, where spans are sent`() throws {
        let environment = [
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4999", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/otlp/ca.pem",
        ]
        let off = try rules(routes, environment: environment)
        #expect(off.connect == .only([53, 8443, 9000]) && !off.readable.contains("/otlp"))
        let on = try rules(routes + "trace: {enabled: true}", environment: environment)
        #expect(on.connect == .only([53, 4999, 8443, 9000]) && on.readable.contains("/otlp"))
        #expect(try rules(routes + "trace: {enabled: true}").connect == .only([53, 4318, 8443, 9000]))
    }

    @Test func `a socket file is made in its folder`() throws {
        let found = try rules(routes, listen: "unix:/run/mcp/proxy.sock")
        #expect(found.socketFolders == ["/run/mcp"] && found.bind == .only([]))
    }

    @Test func `any port is any port`() throws {
        #expect(try rules(routes, listen: ":0").bind == .any)
        let found = try rules(routes + "sandbox_ports: any")
        #expect(found.bind == .any && found.connect == .any)
    }

    @Test func `an abstract socket of the service manager is reached`() throws {
        let configuration = try configuration(routes)
        for (name, isReached) in [(nil, false), ("/run/systemd/notify", false), ("@manager", true)] {
            let rules = configuration.sandboxRules(file: "/c", system: [], environment: [:], notifySocket: name)
            #expect(rules.reachesAbstractSockets == isReached)
        }
    }

    @Test(arguments: [("off", SandboxMode.off), ("false", .off), ("best-effort", .bestEffort), ("required", .required)])
    func `the setting is read`(_ text: String, _ mode: SandboxMode) throws {
        #expect(try configuration(routes + "sandbox: \(text)").sandboxMode == mode)
        #expect(try configuration(routes).sandboxMode == .bestEffort)
    }

    // MARK: Reload

    private func state(_ connect: Set<UInt16>, reading places: [String]) -> SandboxState {
        var state = SandboxState(mode: .bestEffort)
        (state.landlock, state.confinesPorts, state.readablePlaces) = (7, true, places)
        state.rules.connect = .only(connect)
        return state
    }

    @Test func `what is open may come in force`() throws {
        try configuration(routes).checkRoom(in: state([9000, 8443], reading: ["/"]))
    }

    @Test func `a port that is closed is refused with its place and the remedy`() throws {
        let next = try configuration(routes + "cloudflared_metrics: 'http://127.0.0.1:2000'")
        let error = #expect(throws: ConfigurationError.self) {
            try next.checkRoom(in: state([53, 9000], reading: ["/"]))
        }
        #expect(error?.diagnostics.map(\.field) == ["routes.auth", "cloudflared_metrics"])
        #expect(error?.diagnostics.first?.mark?.line == 4)
        let text = error?.description ?? ""
        #expect(text.contains("connect to ports 53, 9000 and not to port 8443"))
        #expect(text.contains("sandbox_ports: any"))
    }

    @Test func `a file that cannot be read is refused`() throws {
        var next = try configuration(routes)
        (next.tls.certFile, next.tls.keyFile) = ("/etc/passwd", "/not/there")
        let error = #expect(throws: ConfigurationError.self) {
            try next.checkRoom(in: state([9000, 8443], reading: ["/data"]))
        }
        #expect(error?.diagnostics.map(\.field) == ["tls.cert_file"])
        try next.checkRoom(in: state([9000, 8443], reading: ["/etc"]))
    }

    @Test func `without Landlock everything is open`() throws {
        var open = state([], reading: [])
        (open.landlock, open.confinesPorts) = (0, false)
        try configuration(routes).checkRoom(in: open)
    }
}
