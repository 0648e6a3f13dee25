import Testing
import TunnelAPI
import TunnelCore

@Suite struct ProxySettingsTests {
    static let proxies: [(environment: [String: String], proxy: String?, credentials: String?)] = [
        ([:], nil, nil),
        (["HTTPS_PROXY": ""], nil, nil),
        (["HTTP_PROXY": "http://p.example", "ALL_PROXY": "http://p.example"], nil, nil),
        (["HTTPS_PROXY": "http://p.example:3128"], "http://p.example:3128", nil),
        (["https_proxy": "http://p.example:3128/"], "http://p.example:3128", nil),
        (["HTTPS_PROXY": "http://a.example", "https_proxy": "http://b.example"], "http://a.example:80", nil),
        (["HTTPS_PROXY": "", "https_proxy": "http://b.example"], "http://b.example:80", nil),
        (["HTTPS_PROXY": "P.example:3128"], "http://p.example:3128", nil),
        (["HTTPS_PROXY": "p.example"], "http://p.example:80", nil),
        (["HTTPS_PROXY": "HTTP://[FD00::1]:3128"], "http://[fd00::1]:3128", nil),
        (["HTTPS_PROXY": "https://p.example"], "https://p.example:443", nil),
        (["HTTPS_PROXY": "HTTPS://user:pass@P.example:3128/"], "https://p.example:3128", "Basic dXNlcjpwYXNz"),
        (["https_proxy": "https://[FD00::1]"], "https://[fd00::1]:443", nil),
        (["HTTPS_PROXY": "http://user:pass@p.example"], "http://p.example:80", "Basic dXNlcjpwYXNz"),
        (["HTTPS_PROXY": "user@p.example:1"], "http://p.example:1", "Basic dXNlcjo="),
        // RFC 7617 §2: the example, percent-encoded, and its password with what a URL cannot hold as it is.
        (
            ["HTTPS_PROXY": "http://Aladdin:open%20sesame@p.example"], "http://p.example:80",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        ),
        (["HTTPS_PROXY": "http://u:%40%3A%2F:@p.example"], "http://p.example:80", "Basic dTpAOi86"),
        (["HTTPS_PROXY": "http://u:a@b@p.example"], "http://p.example:80", "Basic dTphQGI="),
    ]

    @Test(arguments: proxies) func readsTheProxy(
        _ row: (environment: [String: String], proxy: String?, credentials: String?)
    ) throws {
        let proxy = try ProxySettings(environment: row.environment).proxy(for: ServiceURL("https://api.example"))
        #expect(proxy?.description == row.proxy)
        #expect(proxy?.authorization?.reveal() == row.credentials)
    }

    private static let form = "must be http://host:port or https://host:port"
    private static let noHost = "HTTPS_PROXY: has no valid host and port, \(form)"
    private static let noPort = "HTTPS_PROXY: has no valid port, \(form)"

    static let refused: [(environment: [String: String], text: String)] = [
        (
            ["https_proxy": "socks5h://u:hush@p.example"],
            "https_proxy: a SOCKS proxy is not supported, use an HTTP proxy: http://host:port"
        ),
        (["HTTPS_PROXY": "ftp://u:hush@p.example"], "HTTPS_PROXY: \(form)"),
        (
            ["HTTPS_PROXY": "http://u:hush%@p.example"],
            "HTTPS_PROXY: has a user name or password that is not percent-encoded as it should be"
        ),
        (
            ["HTTPS_PROXY": "http://u:hush%0d%0a@p.example"],
            "HTTPS_PROXY: has a user name or password that is not percent-encoded as it should be"
        ),
        (
            ["HTTPS_PROXY": "http://u%3Av:hush@p.example"],
            "HTTPS_PROXY: has a user name or password that is not percent-encoded as it should be"
        ),
        (["HTTPS_PROXY": "http://"], noHost),
        (["HTTPS_PROXY": "http://u:hush@"], noHost),
        (["HTTPS_PROXY": "http://u:hu/sh@p.example/x"], noHost),
        (["HTTPS_PROXY": "https://u:hush@p.example/x"], noHost),
        (["HTTPS_PROXY": "https://u:hush@p.example:0"], noPort),
        (["HTTPS_PROXY": "http://p.example/path"], noHost),
        (["HTTPS_PROXY": "http://p.example:0"], noPort),
        (["HTTPS_PROXY": "http://p.example:"], noPort),
        (["HTTPS_PROXY": "http://."], noHost),
        (["HTTPS_PROXY": " p.example"], noHost),
        (
            ["HTTPS_PROXY": "p.example", "NO_PROXY": "a.example,http://b"],
            "NO_PROXY: \"http://b\" is not a host name, an address or a range of addresses"
        ),
        (
            ["HTTPS_PROXY": "p.example", "no_proxy": "u:hush@b"], "no_proxy: an entry holds user information"
        ),
    ]

    @Test(arguments: refused) func aBadValueIsToldWithoutCredentials(
        _ row: (environment: [String: String], text: String)
    ) throws {
        let error = #expect(throws: ProxySettingsError.self) { _ = try ProxySettings(environment: row.environment) }
        #expect(error?.description == row.text)
        #expect(error?.description.contains("hush") == false)
    }

    @Test func exceptionsCountForNothingWithoutAProxy() throws {
        #expect(try ProxySettings(environment: ["NO_PROXY": "]"]).proxy(for: ServiceURL("https://a.example")) == nil)
    }

    /// Whatever the settings say.
    @Test(arguments: [
        "http://localhost", "https://localhost:8443", "http://127.0.0.1", "https://127.0.0.2", "http://[::1]",
        "https://[::1]:1",
    ]) func thisMachineIsNeverBehindAProxy(_ service: String) throws {
        let settings = try ProxySettings(environment: ["HTTPS_PROXY": "p.example", "HTTP_PROXY": "p.example"])
        #expect(try settings.proxy(for: ServiceURL(service)) == nil)
    }

    @Test func textsShowNoCredentials() throws {
        let settings = try ProxySettings(environment: ["HTTPS_PROXY": "http://u:hush@p.example"])
        let proxy = try #require(try settings.proxy(for: ServiceURL("https://a.example")))
        var dumped = ""
        dump(settings, to: &dumped)
        dump(proxy, to: &dumped)
        let texts = "\(proxy)\(String(reflecting: proxy))\(settings)\(String(reflecting: settings))\(dumped)"
        #expect(!texts.contains("hush") && !texts.contains("dTpodXNo"))
    }
}

/// `NO_PROXY` as Go documents it.
@Suite struct ProxyExceptionsTests {
    static let rows: [(list: String, service: String, isDirect: Bool)] = [
        ("", "https://a.example", false),
        (" , ,", "https://a.example", false),
        ("*", "https://a.example", true),
        ("b.example,*", "https://a.example", true),
        ("a.example", "https://a.example", true),
        (" b.example , A.Example ", "https://a.EXAMPLE", true),
        ("a.example.", "https://a.example", true),
        ("a.example", "https://b.a.example", true),
        ("a.example", "https://ba.example", false),
        ("a.example", "https://a.example.evil", false),
        ("example", "https://a.example", true),
        (".a.example", "https://a.example", false),
        (".a.example", "https://b.a.example", true),
        ("*.a.example", "https://a.example", false),
        ("*.a.example", "https://c.b.a.example", true),
        ("a.example:8443", "https://a.example:8443", true),
        ("a.example:8443", "https://a.example", false),
        ("a.example:443", "https://a.example", true),
        (".a.example:443", "https://b.a.example", true),
        ("10.96.0.1", "https://10.96.0.1", true),
        ("10.96.0.1", "https://10.96.0.2", false),
        ("10.96.0.1:6443", "https://10.96.0.1:6443", true),
        ("10.96.0.1:6443", "https://10.96.0.1", false),
        ("10.96.0.0/12", "https://10.100.1.2", true),
        ("10.96.0.0/12", "https://10.112.0.1", false),
        ("10.96.0.7/12", "https://10.100.1.2", true),
        ("0.0.0.0/0", "https://10.100.1.2", true),
        ("0.0.0.0/0", "https://a.example", false),
        ("fd00::1", "https://[fd00::1]", true),
        ("FD00:0::1", "https://[fd00::1]", true),
        ("[fd00::1]", "https://[fd00::1]", true),
        ("[fd00::1]:6443", "https://[fd00::1]:6443", true),
        ("[fd00::1]:6443", "https://[fd00::1]", false),
        ("fd00::/8", "https://[fd12::1]", true),
        ("fd00::/8", "https://[fe80::1]", false),
        // A name is no part of an address.
        ("0.1", "https://10.0.0.1", false),
        ("svc,cluster.local", "https://kubernetes.default.svc", true),
    ]

    @Test(arguments: rows) func decidesByHostAndPort(_ row: (list: String, service: String, isDirect: Bool)) throws {
        let settings = try ProxySettings(environment: ["HTTPS_PROXY": "p.example", "NO_PROXY": row.list])
        #expect((try settings.proxy(for: ServiceURL(row.service)) == nil) == row.isDirect)
    }

    @Test(arguments: [
        "10.0.0.0/33", "fd00::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0/8", "a.example/8", "a b", "a.example:0",
        "a.example:x", "a.example:", "a.example:65536", ".", "..", "*.", "*..a", "**", "a*", "*a", "[fd00::1",
        "fd00::1:x",
        "*.[fd00::1]", "http://a.example", "\u{E4}.example", "a.example;b.example",
    ]) func anEntryOfNoFormIsRefused(_ entry: String) {
        let error = #expect(throws: ProxySettingsError.self) {
            _ = try ProxySettings(environment: ["HTTPS_PROXY": "p.example", "NO_PROXY": "ok.example,\(entry)"])
        }
        #expect(error?.description.hasPrefix("NO_PROXY: \"") == true)
    }

    /// What is shown of a bad entry is printable and short.
    @Test func aBadEntryIsShownEscapedAndCut() {
        let entry = "\u{1B}[31m" + String(repeating: "/", count: 200)
        let error = #expect(throws: ProxySettingsError.self) {
            _ = try ProxySettings(environment: ["HTTPS_PROXY": "p.example", "NO_PROXY": entry])
        }
        let text = error?.description ?? ""
        #expect(text.count < 150 && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
    }
}
