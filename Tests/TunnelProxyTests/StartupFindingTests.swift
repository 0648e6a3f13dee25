import Glibc
import Testing
import TunnelCore
import TunnelPKI

@testable import TunnelProxy

@Suite struct StartupFindingTests {
    private func findings(
        _ upstreams: [String] = ["http://127.0.0.1:9000"], own: [(String, UInt16)] = [],
        _ change: (inout TestProxy.Settings) throws -> Void = { _ in }
    ) throws -> [StartupFinding] {
        var settings = try TestProxy.Settings()
        settings.routes = try upstreams.enumerated().map { Route(key: "r\($0)", upstream: try UpstreamAddress($1)) }
        try change(&settings)
        let listeners = own.compactMap { text, port in
            IPAddress(text).map { UpstreamPolicy.Listener(address: $0, port: port) }
        }
        return try ProxySnapshot(settings.configuration(), listeners: listeners).findings
    }

    @Test func nothingIsFoundInAGoodConfiguration() throws {
        #expect(try findings(own: [("127.0.0.1", 8080)]) == [])
        // A name is not looked up.
        #expect(try findings(["http://hello-mcp:9000", "http://localhost:1"]) == [])
    }

    /// The group may read it: that is how a Secret is mounted.
    @Test(arguments: [(0o600, false), (0o640, false), (0o644, true), (0o604, true)])
    func aKeyThatOthersCanRead(_ mode: mode_t, _ isFound: Bool) throws {
        let files = try TestIdentity.files(name: "mode-\(mode)")
        chmod(files.key, mode)
        let found = try findings { $0.tls = ProxyConfiguration.TLS(certFile: files.certificate, keyFile: files.key) }
        #expect(found.map(\.id) == (isFound ? [.keyReadableByOthers] : []))
        #expect(found.allSatisfy { $0.detail.contains("has mode 0\(String(mode, radix: 8))") })
    }

    @Test func validationThatIsOff() throws {
        let found = try findings(["http://8.8.8.8:80"]) {
            $0.upstream = ProxyConfiguration.Upstream()
            $0.upstream.disableIPValidation = true
        }
        #expect(found.map(\.id) == [.validationOff])
        #expect(found.allSatisfy { $0.level == .warn && $0.text == "upstream addresses are not validated" })
    }

    @Test(arguments: [
        (["0.0.0.0/0"], 1), (["::/0"], 1), (["0.0.0.0/0", "::/0"], 2), (["0.0.0.0/1", "128.0.0.0/1"], 0),
    ])
    func aRangeOfEverything(_ ranges: [String], _ count: Int) throws {
        let found = try findings(["http://a:1"]) { $0.upstream.allowedIPs = try ranges.map { try IPPrefix($0) } }
        #expect(found.map(\.id) == Array(repeating: .everyAddressAllowed, count: count))
        #expect(found.allSatisfy { $0.text == "upstream addresses are not validated" })
    }

    @Test(arguments: [
        ("http://8.8.8.8:80", "8.8.8.8", "denied_not_allowed"),
        ("http://10.0.0.1:80", "10.0.0.1", "denied_not_allowed"),
        ("http://169.254.169.254:80", "169.254.169.254", "denied_metadata"),
        ("http://[fd00::7]:80", "fd00::7", "denied_not_allowed"),
        ("http://127.0.0.1:8080", "127.0.0.1", "denied_own_listener"),
    ])
    func anUpstreamThatIsRefused(_ upstream: String, _ address: String, _ rule: String) throws {
        let found = try findings(["http://127.0.0.1:9000", upstream], own: [("127.0.0.1", 8080)])
        #expect(found.map(\.id) == [.upstreamRefused])
        #expect(found.first?.text == "IP validation failed: \(address) is not a private address")
        #expect(found.first?.detail == "route r1 leads to \(upstream), which is refused: \(rule)")
    }

    @Test(arguments: [
        ("8.8.8.8", true), ("203.0.113.7", false), ("192.168.1.7", false), ("100.64.0.1", false), ("127.0.0.1", false),
        ("172.32.0.1", true), ("2600::1", true), ("2001:db8::1", false), ("fd00::1", false), ("fe80::1", false),
        ("::1", false),
    ])
    func aPublicListener(_ address: String, _ isFound: Bool) throws {
        #expect(try findings(own: [(address, 8080)]).map(\.id) == (isFound ? [.publicListener] : []))
    }

    /// Of a server that was not started, as a command that only checks has it.
    @Test func aServerTellsBothKinds() throws {
        var settings = try TestProxy.Settings()
        settings.upstream.allowedIPs = [try IPPrefix("0.0.0.0/0")]
        let files = try TestIdentity.files(TestIdentity.makePair(domain: "other.example"), name: "other")
        settings.tls = ProxyConfiguration.TLS(certFile: files.certificate, keyFile: files.key)
        settings.listen = .tcp(IPAddress(v4Bytes: 127, 0, 0, 1), port: 1)
        let server = try ProxyServer(configuration: settings.configuration(), log: LogRecorder().log())
        #expect(server.findings.map(\.id.rawValue) == ["upstream-every-address", "upstream-refused", "server-names"])
    }

    /// At the start all of them, after a reload the new ones.
    @Test func theLogTellsEachOnce() throws {
        let everything = try IPPrefix("0.0.0.0/0")
        let proxy = try TestProxy(["a": 9000]) { $0.upstream.allowedIPs = [everything] }
        #expect(proxy.log.lines(with: "finding=upstream-every-address").count == 1)
        #expect(proxy.log.lines(with: "route configured").first?.contains("url=https://a.t.example") == true)
        var settings = try TestProxy.Settings(["a": 9000])
        settings.upstream.allowedIPs = [try IPPrefix("0.0.0.0/0")]
        settings.routes.append(Route(key: "b", upstream: try UpstreamAddress("http://169.254.169.254:80")))
        try proxy.server.reload(settings.configuration())
        #expect(proxy.log.lines(with: "finding=upstream-every-address").count == 1)
        #expect(proxy.log.lines(with: "finding=upstream-refused").count == 1)
        #expect(proxy.log.lines(with: "url=https://b.t.example").count == 1)
    }
}

@Suite struct CertificateCheckTests {
    private static let now: Int64 = 1_800_000_000

    private func check(_ keys: [String], domain: String? = "t.example") throws -> CertificateCheck {
        let files = ProxyConfiguration.TLS(certFile: "/c", keyFile: "/k")
        let routes = try keys.map { Route(key: $0, upstream: try UpstreamAddress("http://a:1")) }
        return CertificateCheck(
            try ProxyConfiguration(listenAddress: .tcp(nil, port: 1), tls: files, routes: routes, tunnelDomain: domain))
    }

    private func certificate(_ domain: String, wildcard: Bool = true, _ names: [String] = []) throws -> Certificate {
        try CertificateAuthority.generate(now: Self.now).issueServerIdentity(
            domain: domain, keyType: .ecdsaP256, now: Self.now, includesWildcard: wildcard, additionalNames: names
        ).certificate
    }

    @Test(
        arguments: [
            // The names of the certificate beside its domain's wildcard, the routes, what is found.
            ("t.example", true, [], ["echo", "123"], []), ("t.example", true, [], ["echo.t.example"], []),
            ("t.example", true, [], ["other.example.org"], []), ("t.example", true, [], ["my_tool"], []),
            ("t.example", false, ["echo.t.example"], ["echo"], []),
            ("t.example", false, ["echo.t.example"], ["echo", "auth"], ["server-names"]),
            ("t.example", false, [], ["echo"], ["server-names"]),
            ("other.example", true, [], ["echo"], ["server-names"]),
            ("t.example", true, [], ["a.b.t.example"], ["server-names"]),
        ] as [(String, Bool, [String], [String], [String])])
    func namesFitTheRoutes(
        _ domain: String, _ wildcard: Bool, _ names: [String], _ routes: [String], _ expected: [String]
    ) throws {
        let found = try check(routes).findings(certificate(domain, wildcard: wildcard, names), now: Self.now)
        #expect(found.map(\.id.rawValue) == expected, "\(found)")
    }

    /// Without a tunnel domain the routes have full names.
    @Test func theDomainIsThatOfTheRoutes() throws {
        let check = try check(["echo.t.example", "auth.t.example"], domain: nil)
        #expect(try check.findings(certificate("t.example"), now: Self.now) == [])
        let found = try check.findings(certificate("other.example"), now: Self.now)
        #expect(found.map(\.text) == ["certificate does not fit the routes"])
    }

    @Test(
        arguments: [
            (-301, ["certificate is not valid yet"]), (0, []), (59 * 86_400, []),
            (60 * 86_400, ["certificate expires soon"]), (90 * 86_400, ["certificate expires soon"]),
            (90 * 86_400 + 1, ["certificate has expired"]),
        ] as [(Int64, [String])])
    func timeIsLookedAt(_ later: Int64, _ texts: [String]) throws {
        let found = try check(["echo"]).findings(certificate("t.example"), now: Self.now + later)
        #expect(found.map(\.text) == texts, "\(found)")
    }

    /// A health check fails where no client can take the certificate, and not for one route of several.
    @Test func failures() throws {
        func failures(_ check: CertificateCheck, _ certificate: Certificate, _ later: Int64 = 0) throws -> [String] {
            try check.failures(der: certificate.der, now: Self.now + later).map(\.id.rawValue)
        }
        let good = try certificate("t.example")
        let check = try check(["echo", "a.b.t.example"]).ofDomain
        #expect(try failures(check, good) == [])
        #expect(try failures(check, good, 89 * 86_400) == [])
        #expect(try failures(check, good, 91 * 86_400) == ["currently-valid"])
        #expect(try failures(check, good, -301) == ["currently-valid"])
        #expect(try failures(check, certificate("other.example")) == ["server-names"])
        #expect(try failures(check, certificate("t.example", wildcard: false)) == ["server-names"])
        // Without a domain any name will do.
        let any = CertificateCheck(tunnelDomain: nil)
        #expect(try failures(any, good) == [] && failures(any, certificate("other.example")) == [])
        #expect(try failures(any, good, 91 * 86_400) == ["currently-valid"])
        #expect(throws: PKIError.self) { try any.failures(der: [0x30], now: Self.now) }
    }
}
