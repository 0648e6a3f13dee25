import Testing
import TunnelCore

@testable import TunnelProxy

/// `tunnels`: several tunnels in one configuration.
@Suite struct TunnelsTests {
    private static let two = """
        listen_addr: ":0"
        upstream: {allowed_ips: [10.0.0.0/8]}
        tunnels:
          A.t.example:
            tls: {cert_file: /a.crt, key_file: a.key, ticket_keys_file: /a.keys}
            routes: {echo: "http://10.0.0.1:1", deep.er.a.t.example: "http://10.0.0.1:2"}
            route_options: {echo: {allowed_ips: [10.1.0.0/16]}}
          b.t.example:
            tls: {cert_file: /b.crt, key_file: /b.key}
            routes: {echo: "http://172.16.0.1:1"}
            allowed_ips: [172.16.0.0/12]

        """

    private func problems(_ text: String, domain: String? = nil) -> [String] {
        do throws(ConfigurationError) {
            _ = try ProxyConfiguration.parse(Array(text.utf8), file: "f", tunnelDomain: domain)
            return []
        } catch { return error.diagnostics.map(\.description) }
    }

    private func replacing(_ part: String, with other: String) -> String {
        guard let range = Self.two.firstRange(of: part) else { return "" }
        return Self.two.replacingCharacters(range, other)
    }

    @Test func readsEachTunnel() throws {
        let configuration = try ProxyConfiguration.parse(Array(Self.two.utf8), file: "f")
        let (a, b) = (configuration.tunnels[0], configuration.tunnels[1])
        #expect(
            (a.domain, a.certFile, a.keyFile) == ("a.t.example", "/a.crt", "a.key") && a.ticketKeysFile == "/a.keys")
        #expect(a.routes.map(\.key) == ["echo", "deep.er.a.t.example"] && a.routeOptions.keys.sorted() == ["echo"])
        #expect(a.allowedIPs == nil && b.allowedIPs?.map(\.description) == ["172.16.0.0/12"])
        let alone = configuration.perTunnel
        #expect(alone.map(\.tunnelDomain) == ["a.t.example", "b.t.example"] && alone.allSatisfy(\.tunnels.isEmpty))
        #expect(alone[0].upstream.allowedIPs.map(\.description) == ["10.0.0.0/8"])
        #expect(alone[1].upstream.allowedIPs.map(\.description) == ["172.16.0.0/12"])
        #expect(alone[1].publicURL(of: b.routes[0]) == "https://echo.b.t.example")
    }

    @Test func aSingleTunnelIsItself() throws {
        let configuration = try TestProxy.Settings(["a": 1]).configuration()
        #expect(configuration.perTunnel == [configuration] && configuration.field("routes") == "routes")
    }

    /// A view has its errors where the fields stand.
    @Test func errorsNameTheFieldsOfTheTunnel() throws {
        let configuration = try ProxyConfiguration.parse(Array(Self.two.utf8), file: "f")
        let alone = configuration.perTunnel
        #expect(alone[0].error("tls.cert_file", "x", remedy: "y").diagnostics[0].mark?.line == 5)
        #expect(alone[0].field("tls.cert_file") == "tunnels.a.t.example.tls.cert_file")
        #expect(alone[1].field("upstream.allowed_ips") == "tunnels.b.t.example.allowed_ips")
        #expect(alone[0].field("upstream.allowed_ips") == "upstream.allowed_ips")
        #expect(alone[0].field("upstream.tls.ca_file") == "upstream.tls.ca_file")
        #expect(alone[0].field("routes[0]") == "tunnels.a.t.example.routes[0]")
    }

    @Test(
        arguments: [
            ("tunnel_domain: x.example", "tunnel_domain"), ("tls: {cert_file: /c}", "tls.cert_file"),
            ("tls: {key_file: /k}", "tls.key_file"), ("tls: {ticket_keys_file: /k}", "tls.ticket_keys_file"),
            ("routes: {echo: 'http://10.0.0.1:1'}", "routes"),
            ("route_options: {}", "route_options"),
        ])
    func fieldsOfASingleTunnelHaveNoPlaceBeside(_ row: (text: String, field: String)) {
        let found = problems(Self.two + row.text)
        #expect(found.count == 1)
        let line = Self.two.split(separator: "\n", omittingEmptySubsequences: false).count
        #expect(found.first?.hasPrefix("f:\(line):") == true, "\(found)")
        #expect(found.first?.contains("\(row.field): has no place beside tunnels") == true, "\(found)")
    }

    @Test func theFlagHasNoPlaceBesideEither() {
        #expect(problems(Self.two, domain: "x.example").first?.contains("-tunnel-domain: has no place") == true)
    }

    @Test(
        arguments: [
            ("b.t.example:", "b.a.t.example:", "lies below the domain of another tunnel, a.t.example"),
            ("b.t.example:", "a.T.example:", "duplicate tunnel"),
            ("b.t.example:", "b:", "not a domain name"),
            ("b.t.example:", "'*.b.t.example':", "not a domain name"),
            ("echo: \"http://172", "echo.a.t.example: \"http://172", "not a name of this tunnel"),
            ("echo: \"http://172", "echo.c.example: \"http://172", "not a name of this tunnel"),
            ("allowed_ips: [172.16.0.0/12]", "allowed_ips: []", "an empty list"),
            ("allowed_ips: [172.16.0.0/12]", "allowed_ip: []", "unknown key"),
            ("key_file: /b.key", "", "missing, and required"),
            ("routes: {echo: \"http://172.16.0.1:1\"}", "", "missing, and required"),
            ("routes: {echo: \"http://172.16.0.1:1\"}", "routes: {}", "no routes"),
            ("[10.1.0.0/16]", "[172.16.0.0/16]", "172.16.0.0/16 is not within upstream.allowed_ips"),
            ("allowed_ips: [10.0.0.0/8]", "disable_ip_validation: true", "has no effect beside"),
            ("route_options: {echo:", "route_options: {ecco:", "no such route"),
        ])
    func refuses(_ row: (part: String, other: String, problem: String)) {
        let found = problems(replacing(row.part, with: row.other))
        #expect(found.count == 1 && found.first?.contains(row.problem) == true, "\(found)")
        #expect(found.first?.hasPrefix("f:") == true)
    }

    /// A route's list lies within its tunnel's, where that has one.
    @Test func aRoutesListLiesWithinItsTunnels() {
        let own = replacing(
            "allowed_ips: [172.16.0.0/12]",
            with: "allowed_ips: [172.16.0.0/12]\n    route_options: {echo: {allowed_ips: [10.1.0.0/16]}}")
        #expect(problems(own).first?.contains("is not within tunnels.b.t.example.allowed_ips") == true)
    }

    @Test(arguments: ["tunnels: {}", "tunnels: []", "tunnels: {a.example: {}}", "tunnels: {a.example: }"])
    func refusesWhatIsNone(_ text: String) {
        #expect(!problems("listen_addr: ':0'\n" + text).isEmpty)
    }

    @Test func noTunnelsSaysSo() {
        let found = problems("listen_addr: ':0'\ntunnels: {}")
        #expect(found.count == 1 && found[0].contains("tunnels: no tunnels"), "\(found)")
    }

    /// What leaves the machine in a report has the tunnels' fields, and no others of these names.
    @Test func publicFieldsAreTheTunnels() throws {
        let configuration = try ProxyConfiguration.parse(Array(Self.two.utf8), file: "f")
        let names = PublicFields.of(configuration).map(\.name)
        #expect(names.contains("tunnels.a.t.example.routes.echo") && names.contains("tunnels.b.t.example.allowed_ips"))
        #expect(names.contains("tunnels.a.t.example.route_options.echo.allowed_ips"))
        #expect(!names.contains("tls.cert_file") && !names.contains("tunnel_domain"))
    }

    @Test func codeMakesTheSame() throws {
        let route = Route(key: "echo", upstream: try UpstreamAddress("http://10.0.0.1:1"))
        let tunnel = ProxyConfiguration.Tunnel(
            domain: "A.example", certFile: "/c", keyFile: "/k", routes: [route])
        let listen = ListenAddress.tcp(nil, port: 0)
        let configuration = try ProxyConfiguration(
            listenAddress: listen, tls: ProxyConfiguration.TLS(), routes: [], tunnels: [tunnel])
        #expect(configuration.perTunnel.map(\.tunnelDomain) == ["a.example"])
        #expect(throws: ConfigurationError.self) {
            try ProxyConfiguration(
                listenAddress: listen, tls: ProxyConfiguration.TLS(), routes: [route], tunnels: [tunnel])
        }
    }
}

extension String {
    fileprivate func replacingCharacters(_ range: Range<String.Index>, _ other: String) -> String {
        String(self[..<range.lowerBound]) + other + String(self[range.upperBound...])
    }
}
