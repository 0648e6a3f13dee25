import Testing
import TunnelAPI

@Suite struct ServiceURLTests {
    /// What is accepted, and what is made of it.
    static let accepted: [(text: String, isSecure: Bool, host: String, port: UInt16, prefix: String, written: String)] =
        [
            ("https://api.anthropic.com", true, "api.anthropic.com", 443, "", "https://api.anthropic.com"),
            ("https://API.Anthropic.COM./", true, "api.anthropic.com", 443, "", "https://api.anthropic.com"),
            ("HTTPS://a.example:8443", true, "a.example", 8443, "", "https://a.example:8443"),
            ("https://a.example:443/", true, "a.example", 443, "", "https://a.example"),
            ("https://a.example/base/v1//", true, "a.example", 443, "/base/v1", "https://a.example/base/v1"),
            ("https://a.example/b%20c@d:e", true, "a.example", 443, "/b%20c@d:e", "https://a.example/b%20c@d:e"),
            ("https://10.96.0.1:443", true, "10.96.0.1", 443, "", "https://10.96.0.1"),
            ("https://[FD00:0::1]:6443", true, "fd00::1", 6443, "", "https://[fd00::1]:6443"),
            ("https://[fd00::1]", true, "fd00::1", 443, "", "https://[fd00::1]"),
            ("http://localhost", false, "localhost", 80, "", "http://localhost"),
            ("HTTP://LOCALHOST:1", false, "localhost", 1, "", "http://localhost:1"),
            ("http://localhost.:8080", false, "localhost", 8080, "", "http://localhost:8080"),
            ("http://127.0.0.1:65535/x", false, "127.0.0.1", 65535, "/x", "http://127.0.0.1:65535/x"),
            ("http://[::1]:8080", false, "::1", 8080, "", "http://[::1]:8080"),
            ("http://[0:0:0:0:0:0:0:1]", false, "::1", 80, "", "http://[::1]"),
            (
                "http://localhost/@evil.example", false, "localhost", 80, "/@evil.example",
                "http://localhost/@evil.example"
            ),
        ]

    @Test(arguments: accepted) func isTakenApart(
        _ row: (text: String, isSecure: Bool, host: String, port: UInt16, prefix: String, written: String)
    ) throws {
        let url = try ServiceURL(row.text)
        #expect(url.isSecure == row.isSecure && url.host == row.host && url.port == row.port)
        #expect(url.prefix == row.prefix && "\(url)" == row.written)
        #expect(try ServiceURL("\(url)") == url)
    }

    private static let plain = "must use https: secrets do not go over plain http, except to this machine"
    private static let scheme = "must start with https://"
    private static let host = "has no valid host and port"
    private static let user = "must not hold a user name or password"
    private static let port = "has no valid port"

    static let refused: [(text: String, reason: String)] = [
        ("http://localhost.evil", plain), ("http://127.0.0.1.evil", plain), ("http://evil.localhost", plain),
        ("http://api.anthropic.com", plain), ("http://127.0.0.2", plain), ("http://127.1", plain),
        ("http://2130706433", plain), ("http://0x7f.0.0.1", plain), ("http://0.0.0.0", plain), ("http://[::]", plain),
        ("http://[::ffff:127.0.0.1]", plain), ("http://localhost..", plain),
        ("https://...", "has no valid host and port"), ("https://a..example", "has no valid host and port"),
        ("http://localhost@evil.example", user), ("http://localhost:80@evil.example", user),
        ("https://user:password@a.example", user), ("https://@a.example", user),
        ("", scheme), ("https:/a", scheme), ("https:a.example", scheme), ("//a.example", scheme),
        ("a.example", scheme), ("ftp://a.example", scheme), (" https://a.example", scheme),
        ("http\u{17F}://a.example", scheme), ("httpſ://a.example", scheme),
        ("https://", host), ("http://", host), ("https:///x", host), ("https://.", host), ("https://:443", host),
        ("https://a.example:x", host), ("https://a.example:65536", host), ("https://a.example:-1", host),
        ("https://a.example:443:443", host), ("https://a%2eexample", host), ("https://a,b", host),
        ("https://fd00::1", host), ("https://[fd00::1", host), ("https://[fd00::1%25eth0]", host),
        ("https://[fd00::1]x", host), ("https://[]", host), ("https://[localhost]", host),
        ("http://localhost\\@evil.example", user), ("http://localhost\\.evil.example", host),
        ("https://a.example:", port), ("https://a.example:0", port), ("https://a.example:/x", port),
        ("https://a.example?x", "must not have a query or a fragment"),
        ("https://a.example/#", "must not have a query or a fragment"),
        ("https://a.example/ x", "holds a space, a control character or one beyond ASCII"),
        ("https://a.example\r\n", "holds a space, a control character or one beyond ASCII"),
        ("https://a.example/\u{0}", "holds a space, a control character or one beyond ASCII"),
        ("https://\u{E4}.example", "holds a space, a control character or one beyond ASCII"),
        ("https://a.example/%", "has a path that is not percent-encoded"),
        ("https://a.example/%4", "has a path that is not percent-encoded"),
        ("https://a.example/<x>", "has a path that is not percent-encoded"),
        ("https://a.example/a\\b", "has a path that is not percent-encoded"),
    ]

    @Test(arguments: refused) func isRefused(_ row: (text: String, reason: String)) throws {
        let error = #expect(throws: ServiceURLError.self) { _ = try ServiceURL(row.text) }
        #expect(error?.description == row.reason)
    }
}
