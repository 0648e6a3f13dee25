import Testing
import TunnelCore

@testable import TunnelProxy

@Suite struct RouteOptionsTests {
    private static let base = """
        listen_addr: ":0"
        tls: {cert_file: /c, key_file: /k}
        tunnel_domain: t.example
        routes: {echo: "http://10.0.0.1:1", safe: "https://10.0.0.2:1", sock: "unix:/run/mcp.sock"}
        upstream: {tls: {ca_file: /ca}}

        """

    private func parse(_ options: String) throws(ConfigurationError) -> ProxyConfiguration {
        try ProxyConfiguration.parse(Array((Self.base + options).utf8), file: "f")
    }

    private func problems(_ options: String) -> [String] {
        do throws(ConfigurationError) {
            _ = try parse(options)
            return []
        } catch { return error.diagnostics.map(\.description) }
    }

    @Test func readsEveryOption() throws {
        let options = try #require(
            try parse(
                """
                route_options:
                  Safe:
                    host_header: upstream
                    connect_timeout: 1s
                    response_header_timeout: 2s
                    sse_keepalive: 15s
                    max_requests: 7
                    max_queued: 3
                    rate: 0.5
                    burst: 4
                    allowed_ips: [10.0.0.2, 172.16.0.0/16]
                    tls:
                      ca_file: /own
                      client_cert_file: /cc
                      client_key_file: /ck
                      server_name: inner.example
                      pins: [sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=]
                    set_headers:
                      Authorization: {file: /token, prefix: "Bearer "}
                    methods: [GET, POST]
                    paths: [/mcp, /files/*]
                """
            ).routeOptions["safe"])
        #expect(options.hostHeader == .upstream && options.connectTimeout == .seconds(1))
        #expect(options.responseHeaderTimeout == .seconds(2) && options.sseKeepAlive == .seconds(15))
        #expect((options.maxRequests, options.maxQueued, options.rate, options.burst) == (7, 3, 0.5, 4))
        #expect(options.allowedIPs?.map(\.description) == ["10.0.0.2", "172.16.0.0/16"])
        #expect(
            options.tls.caFile == "/own" && options.tls.serverName == "inner.example" && options.tls.pins.count == 1)
        #expect(options.setHeaders == [.init(name: "Authorization", file: "/token", prefix: "Bearer ")])
        #expect(options.methods == ["GET", "POST"] && options.paths == ["/mcp", "/files/*"])
        for field in RouteOptions.fields {
            #expect(field.shown(options) != field.shown(RouteOptions()), "\(field.name)")
        }
    }

    @Test(arguments: [
        ("{other: {rate: 1}}", "route_options.other: no such route"),
        ("{echo: {rate: 1}, ECHO: {rate: 2}}", "duplicate route"),
        ("{echo: {allowed_ips: [10.0.0.0/7]}}", "10.0.0.0/7"),
        ("{echo: {allowed_ips: [11.0.0.0/8]}}", "is not within upstream.allowed_ips"),
        ("{echo: {allowed_ips: []}}", "an empty list would refuse every address"),
        ("{sock: {allowed_ips: [10.0.0.1]}}", "the upstream is a socket, which has no address"),
        ("{echo: {tls: {pins: []}, burst: 3}}", "burst: has no effect without rate"),
        ("{safe: {tls: {client_cert_file: /c}}}", "client_cert_file: needs its key"),
        ("{safe: {tls: {client_key_file: /c}}}", "client_key_file: needs its certificate"),
        ("{safe: {tls: {server_name: 'a b'}}}", "server_name: not a host name or address"),
        ("{safe: {tls: {pins: [sha256//AAAA]}}}", "pins[0]: not a pin"),
        ("{safe: {tls: {pins: ['sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=']}}}", "pins[0]: not a pin"),
        ("{safe: {tls: {pins: ['sha256//!AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=']}}}", "pins[0]: not a pin"),
        ("{echo: {rate: 1e3}}", "rate: not a rate \"1e3\""), ("{echo: {rate: 0.0001}}", "rate: 0.0001 is out of range"),
        ("{echo: {rate: 1000001}}", "out of range"), ("{echo: {max_requests: -1}}", "max_requests: -1 is out of range"),
        ("{echo: {connect_timeout: 0}}", "connect_timeout: 0 is out of range"),
        ("{echo: {sse_keepalive: 10ms}}", "sse_keepalive: 10ms is out of range"),
        ("{echo: {set_headers: {'a b': {file: /f}}}}", "not a field name"),
        ("{echo: {set_headers: {Sec-WebSocket-Key: {file: /f}}}}", "the proxy writes this field itself"),
        ("{echo: {set_headers: {Host: {file: /f}}}}", "the proxy writes this field itself"),
        ("{echo: {set_headers: {content-LENGTH: {file: /f}}}}", "the proxy writes this field itself"),
        ("{echo: {set_headers: {X: {prefix: a}}}}", "file: missing, and required"),
        ("{echo: {set_headers: {X: {file: /f}, x: {file: /g}}}}", "duplicate field"),
        ("{echo: {set_headers: {X: {file: /f, prefix: \"a\\nb\"}}}}", "prefix: not fit for a field"),
        ("{echo: {paths: [mcp]}}", "paths[0]: not a path"), ("{echo: {methods: [get]}}", "methods[0]: not a method"),
        ("{echo: {tls: {server_names: x}}}", "route_options.echo.tls.server_names: unknown key"),
        ("[echo]", "route_options: cannot unmarshal"),
    ])
    func refuses(_ options: String, _ words: String) {
        let found = problems("route_options: \(options)\n")
        #expect(found.contains { $0.contains(words) }, "\(found)")
        #expect(found.allSatisfy { $0.hasPrefix("f:6:") }, "\(found)")
    }

    @Test func oneTimeIsSaidOnce() {
        let text =
            "upstream: {tls: {ca_file: /ca}, sse_keepalive_routes: {echo: 5s}}\nroute_options: {echo: {sse_keepalive: 6s}}\n"
        let base = Self.base.replacingLine("upstream: {tls: {ca_file: /ca}}", with: "")
        let found = #expect(throws: ConfigurationError.self) {
            _ = try ProxyConfiguration.parse(Array((base + text).utf8), file: "f")
        }
        #expect(found?.description.contains("upstream.sse_keepalive_routes has it too") == true)
    }

    @Test func aRouteMayTrustACAOfItsOwn() throws {
        let base = Self.base.replacingLine("upstream: {tls: {ca_file: /ca}}", with: "")
        func parse(_ text: String) throws { _ = try ProxyConfiguration.parse(Array((base + text).utf8), file: "f") }
        #expect(throws: ConfigurationError.self) { try parse("") }
        try parse("route_options: {safe: {tls: {ca_file: /own}}}\n")
    }

    @Test func filesBeginAtTheConfigurationsFolder() throws {
        var configuration = try parse(
            "route_options: {safe: {tls: {ca_file: a, client_cert_file: b, client_key_file: /c}, set_headers: {X: {file: d}}}}\n"
        )
        try configuration.resolveFiles(besides: "/etc/x/config.yaml")
        let options = try #require(configuration.routeOptions["safe"])
        #expect(options.files.map(\.path) == ["/etc/x/a", "/etc/x/b", "/c", "/etc/x/d"])
    }

    /// A new option is left out of reports until somebody has thought about it.
    @Test func everyOptionIsPublicOrWithheld() throws {
        for field in RouteOptions.fields {
            #expect(
                PublicFields.ofRoute.contains(field.name) != PublicFields.withheldOfRoute.contains(field.name),
                "\(field.name): add it to one of the two in PublicFields.swift")
        }
        let shown = PublicFields.of(
            try parse("route_options: {echo: {rate: 2, set_headers: {X: {file: /hush}}}}\n"))
        #expect(shown.contains(.init(name: "route_options.echo.rate", value: "2")))
        #expect(!shown.contains { $0.value.contains("hush") || $0.name.contains("set_headers") })
    }
}

extension String {
    fileprivate func replacingLine(_ line: String, with other: String) -> String {
        split(separator: "\n", omittingEmptySubsequences: false).map { $0 == line ? other : String($0) }
            .joined(separator: "\n")
    }
}
