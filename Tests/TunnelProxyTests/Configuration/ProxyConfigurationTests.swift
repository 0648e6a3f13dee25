import Testing
import TunnelCore
import TunnelProxy

/// A file with what is required, to which a test adds its lines.
private let base = "listen_addr: \":8080\"\ntls: {cert_file: /c, key_file: /k}\n"
private let routes = "routes: {echo.example.com: 'http://a:1'}\n"

private func parse(
    _ text: String, tunnelDomain: String? = nil
) throws(ConfigurationError) -> ProxyConfiguration {
    try ProxyConfiguration.parse(Array(text.utf8), file: "f", tunnelDomain: tunnelDomain)
}

private func problems(_ text: String, tunnelDomain: String? = nil) -> [String] {
    do throws(ConfigurationError) {
        _ = try parse(text, tunnelDomain: tunnelDomain)
        return []
    } catch {
        return error.diagnostics.map(\.description)
    }
}

@Suite struct ProxyConfigurationTests {
    /// The sample of Anthropic's reference, letter by letter in its values.
    @Test func readsTheDocumentedSample() throws {
        let configuration = try parse(
            """
            listen_addr: ":8080"
            log_level: info
            shutdown_timeout: 30s
            tunnel_domain: abcd1234.tunnel.anthropic.com
            tls:
              cert_file: /data/tls.crt
              key_file: /data/tls.key
            routes:
              echo: http://hello-mcp:9000
              auth: https://sso.example.corp:8443
            upstream:
              allowed_ips: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16]
              tls:
                ca_file: /etc/ssl/corp-ca.pem
                include_system_cas: true
            """)
        #expect(configuration.listenAddress == .tcp(nil, port: 8080))
        #expect(configuration.tunnelDomain == "abcd1234.tunnel.anthropic.com")
        #expect(configuration.tls.certFile == "/data/tls.crt" && configuration.tls.keyFile == "/data/tls.key")
        #expect(configuration.routes.map(\.key) == ["echo", "auth"])
        #expect(configuration.routes[1].upstream.description == "https://sso.example.corp:8443")
        #expect(
            configuration.upstream.tls.caFile == "/etc/ssl/corp-ca.pem" && configuration.upstream.tls.includeSystemCAs)
    }

    /// As for chmod(1): quotes or none, three digits or four.
    @Test(arguments: [
        ("0660", 0o660), ("660", 0o660), ("'0600'", 0o600), ("0o666", 0o666), ("000", 0), ("0777", 0o777),
    ])
    func readsModes(_ text: String, _ mode: Int) throws {
        let configuration = try parse(base + routes + "listen_mode: \(text)\nlisten_group: www\n")
        #expect(configuration.listenMode == mode && configuration.listenGroup == "www")
    }

    @Test(arguments: ["0x1b0", "88", "0680", "rw-rw----", "[0660]", "-660", "06600", "''", "1"])
    func refusesWhatIsNoMode(_ text: String) {
        let found = problems(base + routes + "listen_mode: \(text)\n")
        #expect(found.count == 1 && found[0].hasPrefix("f:4:14: listen_mode: "), "\(found)")
        #expect(found[0].contains("(write it as for chmod(1), such as 0660)"), "\(found)")
    }

    @Test func modesHaveNoMoreThanPermissions() {
        #expect(problems(base + routes + "listen_mode: 1777\n").first?.contains("listen_mode: out of range") == true)
    }

    @Test func hasTheDocumentedDefaults() throws {
        let configuration = try parse(base + routes)
        #expect(configuration.logLevel == .info && configuration.logFormat == .text && configuration.threads == 0)
        #expect(configuration.shutdownTimeout == .seconds(30) && configuration.tunnelDomain == nil)
        #expect(configuration.tls.reloadInterval == .seconds(10) && configuration.tls.handshakeTimeout == .seconds(10))
        #expect(configuration.tls.minVersion == .tls12 && configuration.tls.sessionTickets)
        #expect(configuration.listenMode == 0o660 && configuration.listenGroup == nil)
        #expect(configuration.upstream == ProxyConfiguration.Upstream())
        #expect(
            configuration.upstream.allowedIPs.map(\.description) == ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"])
        #expect(configuration.webSocket == ProxyConfiguration.WebSocket())
        #expect(configuration.limits == ProxyConfiguration.Limits())
    }

    @Test func readsJSON() throws {
        let text =
            "{\"listen_addr\":\"[::1]:0\",\"tls\":{\"cert_file\":\"c\",\"key_file\":\"k\"},\n\t\"routes\":{\"a.b\":\"http://a:1\"}}"
        #expect(try parse(text).listenAddress == .tcp(IPAddress("::1"), port: 0))
    }

    @Test func theFlagOverridesTheFile() throws {
        let text = base + "tunnel_domain: file.example.com\nroutes: {echo: 'http://a:1'}\n"
        #expect(try parse(text).tunnelDomain == "file.example.com")
        #expect(try parse(text, tunnelDomain: "Flag.Example.com").tunnelDomain == "flag.example.com")
        #expect(try parse(text, tunnelDomain: "").tunnelDomain == "file.example.com")
        #expect(try parse(base + "routes: {echo: 'http://a:1'}\n", tunnelDomain: "a.b").tunnelDomain == "a.b")
        #expect(
            problems(base + routes, tunnelDomain: "*.a.b").first?.hasPrefix(
                "f: -tunnel-domain: not a domain name \"*.a.b\"") == true)
    }

    /// Letter for letter, though the proxy goes on with another form.
    @Test(arguments: [
        ("tunnel_domain: LOCAL\n", "not a domain name \"LOCAL\""),
        ("shutdown_timeout: 90000h\n", "shutdown_timeout: 90000h is out of range"),
        ("shutdown_timeout: -60s\n", "shutdown_timeout: -60s is out of range"),
        ("threads: 0x101\n", "threads: 0x101 is out of range"), ("threads: +257\n", "threads: +257 is out of range"),
        ("limits: {buffer_size: 0o17}\n", "limits.buffer_size: 0o17 is out of range"),
        ("upstream: {allowed_ips: ['FD00::1/8']}\n", "upstream.allowed_ips[0]: FD00::1/8 has bits set"),
        ("tunnel_domain: '${TUNNEL_DOMAIN}'\n", "tunnel_domain: variables are not expanded: \"${TUNNEL_DOMAIN}\""),
    ])
    func showsValuesAsTheyWereWritten(_ line: String, _ part: String) {
        #expect(problems(base + routes + line).count == 1)
        #expect(problems(base + routes + line).first?.contains(part) == true, "\(problems(base + routes + line))")
    }

    @Test func tellsOfVariablesInTheFlag() {
        let found = problems(base + routes, tunnelDomain: "${TUNNEL_DOMAIN}")
        #expect(found.first?.hasPrefix("f: -tunnel-domain: variables are not expanded: \"${TUNNEL_DOMAIN}\" (") == true)
        let name = problems(base + routes, tunnelDomain: "LOCAL")
        #expect(name.first?.hasPrefix("f: -tunnel-domain: not a domain name \"LOCAL\"") == true)
    }

    // MARK: Routes

    @Test func allowsLabelAndFullNameOfOneHost() throws {
        let text =
            base
            + "tunnel_domain: t.example.com\nroutes: {echo: 'http://a:1', Echo.T.example.com: 'http://b:2', a.b: 'http://c:3'}\n"
        #expect(try parse(text).routes.map(\.key) == ["echo", "echo.t.example.com", "a.b"])
    }

    /// A label that is a number, in quotes or not, in whatever notation: it is taken letter for letter.
    @Test(arguments: ["'123'", "123", "\"0x1F\"", "0x1F", "007", "1e3", "1_000"])
    func takesNumbersAsSubdomains(_ key: String) throws {
        let text = base + "tunnel_domain: t.example.com\nroutes: {\(key): 'http://a:1'}\n"
        let configuration = try parse(text)
        let label = key.filter { $0 != "'" && $0 != "\"" }.lowercased()
        #expect(configuration.routes.map(\.key) == [label])
        #expect(configuration.publicURL(of: configuration.routes[0]) == "https://\(label).t.example.com")
        #expect(
            problems(base + "routes: {\(key): 'http://a:1'}\n").first?.contains(
                "a bare subdomain needs the tunnel domain") == true)
    }

    /// With dots it would be an address to others.
    @Test(arguments: ["127.1", "10.0.0.1", "1.5", "a.1"]) func refusesNumbersWithDots(_ key: String) {
        let text = base + "tunnel_domain: t.example.com\nroutes: {\(key): 'http://a:1'}\n"
        #expect(problems(text).first?.hasPrefix("f:4:10: routes.\(key): not a host name") == true)
    }

    @Test(
        arguments: [
            ("t.example", "echo", "https://echo.t.example"), ("t.example", "t.example", "https://t.example"),
            ("t.example", "echo.t.example", "https://echo.t.example"),
            ("t.example", "a.b.t.example", "https://a.b.t.example"), ("t.example", "a.b", nil),
            ("t.example", "xt.example", nil), (nil, "echo.example.org", "https://echo.example.org"),
        ] as [(String?, String, String?)])
    func knowsThePublicURL(_ domain: String?, _ key: String, _ url: String?) throws {
        let route = Route(key: key, upstream: try UpstreamAddress("http://a:1"))
        let tls = ProxyConfiguration.TLS(certFile: "/c", keyFile: "/k")
        let configuration = try ProxyConfiguration(
            listenAddress: .tcp(nil, port: 8080), tls: tls, routes: [route], tunnelDomain: domain)
        #expect(configuration.publicURL(of: route) == url)
    }

    @Test(arguments: [
        (
            "routes: [echo]\n",
            "f:3:9: routes: cannot unmarshal !!seq into map[string]string (write one 'name: scheme://host:port' a line, without dashes)"
        ),
        (
            "routes:\n- echo: http://a:1\n",
            "f:4:1: routes: cannot unmarshal !!seq into map[string]string (write one 'name: scheme://host:port' a line, without dashes)"
        ),
        (
            "routes: x\n",
            "f:3:9: routes: cannot unmarshal !!str `x` into map[string]string (write one 'name: scheme://host:port' a line, without dashes)"
        ),
        ("routes: {a.b: [c]}\n", "f:3:15: routes.a.b: cannot unmarshal !!seq into string (write a string)"),
        ("routes: {a.b: }\n", "f:3:15: routes.a.b: the upstream is missing (write a.b: http://host:port)"),
        (
            "routes: {a.b: 'http://a:1/mcp'}\n",
            "f:3:15: routes.a.b: invalid upstream (must be scheme://host:port) \"http://a:1/mcp\" (remove the path, query or user name)"
        ),
        (
            "routes: {a.b: 'http://a'}\n",
            "f:3:15: routes.a.b: invalid upstream (must be scheme://host:port) \"http://a\" (the port is missing: add :80, :443 or the port the server listens on)"
        ),
        ("routes: {}\n", "f:3:9: routes: no routes (add at least one 'name: scheme://host:port')"),
        ("routes:\n", "f:1:1: routes: missing, and required (set it)"),
        ("", "f:1:1: routes: missing, and required (set it)"),
        (
            "routes: {echo: 'http://a:1'}\n",
            "f:3:10: routes.echo: a bare subdomain needs the tunnel domain (set tunnel_domain or -tunnel-domain, or write the full host name)"
        ),
        (
            "tunnel_domain: \"\"\nroutes: {echo: 'http://a:1'}\n",
            "f:4:10: routes.echo: a bare subdomain needs the tunnel domain (set tunnel_domain or -tunnel-domain, or write the full host name)"
        ),
        (
            "routes: {a.b: 'http://a:1', A.B: 'http://a:2'}\n",
            "f:3:29: routes.A.B: duplicate route (keep one of them; host names do not differ by case)"
        ),
        (
            "routes: {a.b: 'http://a:1', a.b: 'http://a:2'}\n",
            "f:3:29: routes.a.b: duplicate route (keep one of them; host names do not differ by case)"
        ),
        (
            "routes: {'*.b': 'http://a:1'}\n",
            "f:3:10: routes.*.b: not a host name (use letters, digits, hyphens and dots: a subdomain or a full host name)"
        ),
        (
            "routes: {'a.b:80': 'http://a:1'}\n",
            "f:3:10: routes.a.b:80: not a host name (use letters, digits, hyphens and dots: a subdomain or a full host name)"
        ),
        (
            "routes: {a.b: 'https://a:1'}\n",
            "f:3:10: routes.a.b: an https upstream needs certificates to trust (set upstream.tls.ca_file, or upstream.tls.include_system_cas: true)"
        ),
        (
            "tunnel_domain: local\n" + routes,
            "f:3:16: tunnel_domain: not a domain name \"local\" (write it as the Console shows it, such as abcd1234.tunnel.anthropic.com, without '*.' and dot at the end)"
        ),
    ])
    func refusesRoutes(_ lines: String, _ problem: String) {
        #expect(problems(base + lines) == [problem])
    }

    @Test(arguments: ["ca_file: /ca", "include_system_cas: true"])
    func takesHTTPSWithTrust(_ line: String) throws {
        _ = try parse(base + "routes: {a.b: 'https://a:1'}\nupstream: {tls: {\(line)}}\n")
    }

    // MARK: Upstream policy

    @Test(arguments: [
        (
            "allowed_ips: []",
            "f:4:25: upstream.allowed_ips: an empty list would refuse every upstream (list the ranges of your servers, or remove the field for the private ones)"
        ),
        (
            "allowed_ips: [10.0.0.0/8, 10.0.0.1/8]",
            "f:4:38: upstream.allowed_ips[1]: 10.0.0.1/8 has bits set behind the prefix (did you mean 10.0.0.0/8 (the network) or 10.0.0.1 (the address alone)?)"
        ),
        (
            "allowed_ips: 10.0.0.0/8",
            "f:4:25: upstream.allowed_ips: cannot unmarshal !!str `10.0.0.0/8` into []string (write a list: [a, b])"
        ),
        (
            "allowed_ips: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16], disable_ip_validation: true",
            "f:4:25: upstream.allowed_ips: has no effect beside disable_ip_validation: true (remove one of the two)"
        ),
        ("host_header: keep", "f:4:25: upstream.host_header: unknown value \"keep\" (write preserve or upstream)"),
        ("alowed_ips: [10.0.0.0/8]", "f:4:12: upstream.alowed_ips: unknown key (did you mean 'allowed_ips'?)"),
    ])
    func refusesPolicies(_ line: String, _ problem: String) {
        #expect(problems(base + routes + "upstream: {\(line)}\n") == [problem])
    }

    @Test func reportsEveryRange() {
        let list = "allowed_ips: [10.0.0.1/8, 10.0.0.0/8, x]"
        #expect(
            problems(base + routes + "upstream: {\(list)}\n") == [
                "f:4:26: upstream.allowed_ips[0]: 10.0.0.1/8 has bits set behind the prefix (did you mean 10.0.0.0/8 (the network) or 10.0.0.1 (the address alone)?)",
                "f:4:50: upstream.allowed_ips[2]: \"x\" is not an IP address (write an IPv4 or IPv6 address; names and address lists are not accepted)",
            ])
        #expect(problems(base + routes + "upstream: {\(list), disable_ip_validation: true}\n").count == 3)
    }

    @Test func takesPolicies() throws {
        #expect(try parse(base + routes + "upstream: {disable_ip_validation: true}").upstream.disableIPValidation)
        let text = base + routes + "upstream: {allowed_ips: [127.0.0.1, fd00::/8], disable_ip_validation: false}"
        #expect(try parse(text).upstream.allowedIPs == [IPPrefix("127.0.0.1"), IPPrefix("fd00::/8")])
    }

    // MARK: Everything together

    @Test func reportsEverythingInTheOrderOfTheFile() {
        let text = """
            listen_adr: ":8080"
            log_level: loud
            tls:
              cert_file: /c
            routes:
              echo: http://a:1/
              x.y: https://a:1
            upstream:
              allowed_ips: []
            limits:
              buffer_size: 5
            """
        let fields = (try? Result { try parse(text) }.get()) == nil ? problems(text) : []
        #expect(
            fields.map { $0.prefix(while: { $0 != " " }) } == [
                "f:1:1:", "f:1:1:", "f:2:12:", "f:4:3:", "f:6:9:", "f:7:3:", "f:9:16:", "f:11:16:",
            ])
    }

    /// One message for one mistake: what hangs on a refused field is not judged.
    @Test(arguments: [
        "tls: /c\nlisten_addr: ':1'\n" + routes, "listen_addr: ':1'\ntls: {cert_file: [c], key_file: /k}\n" + routes,
        base + "tunnel_domain: [a.b]\nroutes: {echo: 'http://a:1'}\n",
        base + "routes: {a.b: 'https://a:1'}\nupstream: {tls: {ca_file: [x]}}\n",
        base + "routes: {a.b: 'a:1'}\n", base + routes + "upstream: {allowed_ips: {}}\n",
        base + routes + "limits: {buffer_size: x}\n",
        "listen_addr: x\ntls: {cert_file: c, key_file: k}\n" + routes, "- a\n", "a: &b\n",
        base + "routes: {a.b: 'https://a:1'}\nupstream: {tls: 5}\n",
    ])
    func reportsNoConsequences(_ text: String) {
        #expect(problems(text).count == 1, "\(problems(text))")
    }

    @Test func reportsWhatIsNotYAML() {
        #expect(
            problems("a: b: c\n") == [
                "f:1:5: a mapping is not allowed here (start the mapping on a line of its own, or quote the text before the colon)"
            ])
        #expect(problems("a: *b\n") == ["f:1:4: aliases are not supported (repeat the value, or quote the text)"])
    }

    @Test func descriptionHasALineForEach() {
        let error = #expect(throws: ConfigurationError.self) { try parse("{}") }
        #expect(error?.description.split(separator: "\n").count == 4)
    }

    // MARK: From code

    @Test func isCheckedWhenMadeInCode() throws {
        let route = Route(key: "Echo.example.com", upstream: try UpstreamAddress("http://a:1"))
        let tls = ProxyConfiguration.TLS(certFile: "/c", keyFile: "/k")
        let made = try ProxyConfiguration(listenAddress: .tcp(nil, port: 8080), tls: tls, routes: [route])
        #expect(made == (try parse(base + routes)))

        func fields(_ body: () throws(ConfigurationError) -> ProxyConfiguration) -> [String] {
            do throws(ConfigurationError) {
                _ = try body()
                return []
            } catch {
                #expect(error.diagnostics.allSatisfy { $0.file == nil && $0.mark == nil && !$0.remedy.isEmpty })
                return error.diagnostics.map(\.field)
            }
        }
        let any = ListenAddress.tcp(nil, port: 0)
        #expect(
            fields { () throws(ConfigurationError) in
                try ProxyConfiguration(listenAddress: any, tls: .init(certFile: "", keyFile: ""), routes: [])
            } == ["tls.cert_file", "tls.key_file", "routes"])
        #expect(
            fields { () throws(ConfigurationError) in
                try ProxyConfiguration(listenAddress: .unix(path: "x"), tls: tls, routes: [route])
            } == ["listen_addr"])
        #expect(
            fields { () throws(ConfigurationError) in
                try ProxyConfiguration(listenAddress: any, tls: tls, routes: [route, route], threads: 257)
            } == ["threads", "routes.echo.example.com"])
        var upstream = ProxyConfiguration.Upstream()
        upstream.disableIPValidation = true
        #expect(
            fields { () throws(ConfigurationError) in
                try ProxyConfiguration(listenAddress: any, tls: tls, routes: [route], upstream: upstream)
            } == [])
        upstream.allowedIPs = [try IPPrefix("::1")]
        #expect(
            fields { () throws(ConfigurationError) in
                try ProxyConfiguration(listenAddress: any, tls: tls, routes: [route], upstream: upstream)
            } == ["upstream.allowed_ips"])
    }

    // MARK: Reload

    @Test func reloadingKeepsWhatNeedsARestart() throws {
        let old = try parse(base + routes)
        let new = try parse(
            "listen_addr: ':9'\nlog_level: debug\nlog_format: json\nthreads: 3\ntls: {cert_file: /c2, key_file: /k2, min_version: 1.3, reload_interval: 1s}\n"
                + "routes: {x.y: 'http://b:2'}\nupstream: {allowed_ips: [::1]}\nlimits: {max_requests: 5}\nwebsocket: {compression: true}\n"
        )
        let (result, kept) = old.reloading(new)
        #expect(kept == ["listen_addr", "log_format", "threads", "tls.reload_interval", "tls.min_version"])
        #expect(result.listenAddress == old.listenAddress && result.logFormat == .text && result.threads == 0)
        #expect(result.tls.minVersion == .tls12 && result.tls.reloadInterval == .seconds(10))
        #expect(result.tls.certFile == "/c2" && result.tls.keyFile == "/k2" && result.logLevel == .debug)
        #expect(result.routes == new.routes && result.upstream == new.upstream && result.limits == new.limits)
        #expect(result.webSocket == new.webSocket)
        let (same, none) = old.reloading(old)
        #expect(same == old && none == [])
    }
}
