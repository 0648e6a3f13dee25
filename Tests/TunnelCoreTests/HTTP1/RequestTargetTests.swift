import Testing
import TunnelCore

@Suite struct RequestTargetTests {
    @Test(
        arguments: [
            ("GET", "/", .origin, "/", "h"), ("GET", "/a/b?x=/?y", .origin, "/a/b", "h"),
            ("GET", "/?", .origin, "/", "h"),
            ("GET", "//a//", .origin, "//a//", "h"), ("GET", "/%00%zz<>\"{}|\\^`", .origin, "/%00%zz<>\"{}|\\^`", "h"),
            ("GET", "/*", .origin, "/*", "h"), ("GET", "/http://x/", .origin, "/http://x/", "h"),
            ("OPTIONS", "*", .asterisk, "*", "h"), ("OPTIONS", "/", .origin, "/", "h"),
            ("GET", "http://h/a?b", .absolute, "/a", "h"), ("GET", "HTTPS://H", .absolute, "", "h"),
            ("GET", "http://h?b", .absolute, "", "h"), ("GET", "http://h:8080/", .absolute, "/", "h:8080"),
            ("CONNECT", "h:443", .authority, "", "h:443"), ("CONNECT", "[::1]:443", .authority, "", "[::1]:443"),
        ] as [(String, String, TargetForm, String, String)])
    func accepts(_ method: String, _ target: String, _ form: TargetForm, _ path: String, _ host: String) throws {
        let source = "\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\n\r\n"
        let head = try HTTPSamples.request(source)
        #expect(head.targetForm == form)
        #expect(HTTPSamples.text(head.target, of: source) == target)
        #expect(HTTPSamples.text(head.path, of: source) == path)
        #expect(HTTPSamples.text(head.authority, of: source) == host)
    }

    @Test(arguments: [
        ("GET", "*", "*"), ("GET", "h:443", "neither"), ("GET", "a/b", "neither"), ("GET", "?a", "neither"),
        ("GET", "ftp://h/", "neither"), ("GET", "http:/h", "neither"), ("GET", "http", "neither"),
        ("GET", "http://", "invalid authority"), ("GET", "http:///a", "invalid authority"),
        ("GET", "http://u@h/", "invalid authority"), ("GET", "http://h:x/", "invalid authority"),
        ("GET", "http://other/", "differ"), ("GET", "http://h:80/", "differ"),
        ("CONNECT", "/", "CONNECT"), ("CONNECT", "h", "CONNECT"), ("CONNECT", "h:", "CONNECT"),
        ("CONNECT", "http://h/", "CONNECT"), ("CONNECT", "*", "CONNECT"),
        ("GET", "/#a", "invalid byte"), ("GET", "/\u{80}", "invalid byte"), ("GET", "/\u{FF}", "invalid byte"),
        ("GET", "/\t", "invalid byte"), ("GET", "", "invalid byte"), ("OPTIONS", "**", "neither"),
    ]) func refuses(_ method: String, _ target: String, _ rule: String) throws {
        let error = try #require(HTTPSamples.requestError("\(method) \(target) HTTP/1.1\r\nHost: h\r\n\r\n"))
        #expect(error.status == 400)
        #expect(error.reason.contains(rule), "\(error)")
    }
}
