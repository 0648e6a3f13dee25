import Testing
import TunnelCore
import TunnelIO

@testable import TunnelProxy

@Suite struct ProxySnapshotTests {
    @Test(
        arguments: [
            ("a.t.example", 0), ("A.T.EXAMPLE:443", 0), ("a.t.example.", 0), ("full.example.org", 1), ("a", 0),
            ("b.t.example", nil), ("", nil), ("a.t.example.org", nil),
        ] as [(String, Int?)]) func routesByHost(_ host: String, _ expected: Int?) throws
    {
        var settings = try TestProxy.Settings()
        settings.routes = [
            Route(key: "a", upstream: try UpstreamAddress("http://10.0.0.1:80")),
            Route(key: "full.example.org", upstream: try UpstreamAddress("http://10.0.0.2:80")),
        ]
        let snapshot = try ProxySnapshot(settings.configuration(), listeners: [])
        #expect(snapshot.route(for: Array(host.utf8).span) == expected)
    }

    @Test(arguments: [
        ("http://10.0.0.1:80", "10.0.0.1:80"), ("http://[fd00::1]:8080", "[fd00::1]:8080"),
        ("http://server:9000", "server:9000"),
    ]) func theHostRuleNamesTheUpstream(_ upstream: String, _ host: String) throws {
        var settings = try TestProxy.Settings()
        settings.routes = [Route(key: "a", upstream: try UpstreamAddress(upstream))]
        #expect(try ProxySnapshot(settings.configuration(), listeners: []).hostRules == [.preserve])
        settings.upstream.hostHeader = .upstream
        #expect(
            try ProxySnapshot(settings.configuration(), listeners: []).hostRules == [.replace(Array(host.utf8))])
    }

    @Test func theProxyItselfIsNoUpstream() throws {
        var settings = try TestProxy.Settings(["a": 8080])
        settings.upstream.allowedIPs = [try IPPrefix("127.0.0.0/8")]
        let own = [UpstreamPolicy.Listener(address: IPAddress(v4: 0x7F00_0001), port: 8080)]
        let snapshot = try ProxySnapshot(settings.configuration(), listeners: own)
        #expect(!snapshot.policy.verdict(IPAddress(v4: 0x7F00_0001), port: 8080).isAllowed)
        #expect(snapshot.policy.verdict(IPAddress(v4: 0x7F00_0001), port: 8081).isAllowed)
        // A wildcard listens on every address of this machine, also on those that its interfaces have.
        let wildcard = [UpstreamPolicy.Listener(address: IPAddress(v6High: 0, low: 0), port: 8080)]
        let all = try ProxySnapshot(settings.configuration(), listeners: wildcard)
        #expect(!all.policy.verdict(IPAddress(v4: 0x7F00_0001), port: 8080).isAllowed)
        #expect(all.policy.verdict(IPAddress(v4: 0x7F00_0001), port: 8081).isAllowed)
    }

    /// A head inside of a tunnel may take longer than the upgrade before it, which anybody may send.
    @Test(arguments: [(5, 5), (10, 10), (60, 10)]) func theUpgradeHasATimeOfItsOwn(_ head: Int, _ upgrade: UInt64)
        throws
    {
        var settings = try TestProxy.Settings(["a": 1])
        settings.limits.headerTimeout = .seconds(head)
        let snapshot = try ProxySnapshot(settings.configuration(), listeners: [])
        #expect(snapshot.upgradeTimeout == upgrade * 1_000_000_000)
    }

    /// Less than everything is read again of the configuration in force alone.
    @Test func anotherConfigurationIsReadWhole() throws {
        var settings = try TestProxy.Settings(https: ["a": 1])
        let first = try ProxySnapshot(settings.configuration(), listeners: [])
        let same = try ProxySnapshot(first.configuration, after: first, rereading: .headerValues)
        #expect(same.generation(of: .https) == first.generation(of: .https))
        settings.upstream.tls.caFile = "/nonexistent/ca"
        let other = try settings.configuration()
        #expect(throws: ConfigurationError.self) {
            try ProxySnapshot(other, after: first, rereading: .headerValues)
        }
    }

    @Test func caFilesAreReadAtOnce() throws {
        var settings = try TestProxy.Settings(https: ["a": 1])
        #expect(try ProxySnapshot(settings.configuration(), listeners: []).upstreamTLS != nil)
        settings.upstream.tls.caFile = "/nonexistent/ca"
        let configuration = try settings.configuration()
        let problem =
            "upstream.tls.ca_file: open /nonexistent/ca: no such file or directory"
            + " (name a PEM file that the proxy's user, 65532 in the image, can read)"
        #expect(error(of: configuration) == problem)
        // Also where no route needs it yet: a reload that adds one should not be the first to find out.
        var plain = try TestProxy.Settings(["a": 1])
        #expect(try ProxySnapshot(plain.configuration(), listeners: []).upstreamTLS == nil)
        plain.upstream.tls.caFile = "/nonexistent/ca"
        let mistaken = try plain.configuration()
        #expect(error(of: mistaken) == problem)
    }

    /// The file's place, its name and the field, whatever is wrong with it.
    @Test(arguments: [
        ("", "no CERTIFICATE in the file"), ("nonsense", "no CERTIFICATE in the file"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not a certificate"),
        ("-----BEGIN CERTIFICATE-----\nMIIB", "has no END line"),
    ])
    func aBadCAFileIsNamed(_ text: String, _ reason: String) throws {
        let file = try TestIdentity.write(Array(text.utf8), to: "\(TestIdentity.directory)/bad-\(text.utf8.count).pem")
        let files = try TestIdentity.files()
        for system in [false, true] {
            let document =
                "listen_addr: ':1'\ntls: {cert_file: \(files.certificate), key_file: \(files.key)}\n"
                + "routes: {a.b: 'https://a:1'}\nupstream:\n  tls:\n    ca_file: \(file)\n"
                + "    include_system_cas: \(system)\n"
            let problem = error(of: try ProxyConfiguration.parse(Array(document.utf8), file: "c.yaml"))
            #expect(problem.hasPrefix("c.yaml:6:14: upstream.tls.ca_file: \(file): "), "\(problem)")
            #expect(problem.contains(reason), "\(problem)")
        }
    }

    private func error(of configuration: ProxyConfiguration) -> String {
        do {
            _ = try ProxySnapshot(configuration, listeners: [])
            return "none"
        } catch { return "\(error)" }
    }

    @Test(
        arguments: [
            (Duration.seconds(2), 2_000_000_000), (.milliseconds(1), 1_000_000), (.nanoseconds(7), 7), (.zero, 0),
            (.seconds(-1), 0), (.nanoseconds(-1), 0), (.seconds(Int64.max), UInt64.max / 4),
        ] as [(Duration, UInt64)]) func durationsInTheLoopsUnit(_ duration: Duration, _ nanoseconds: UInt64)
    {
        #expect(duration.nanoseconds == nanoseconds)
    }
}
