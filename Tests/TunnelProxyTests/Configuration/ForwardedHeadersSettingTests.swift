import Testing
import TunnelCore
import TunnelProxy

/// The words of `upstream.forwarded_headers`.
@Suite struct ForwardedHeadersSettingTests {
    private static func parse(_ value: String) throws -> ProxyConfiguration {
        let text = """
            listen_addr: ":8080"
            tls: {cert_file: /c, key_file: /k}
            routes: {echo.example.com: 'http://a:1'}
            upstream: {forwarded_headers: \(value)}

            """
        return try ProxyConfiguration.parse(Array(text.utf8), file: "f")
    }

    /// The words of 0.1 still mean what they meant.
    @Test(
        arguments: [
            ("", .on), ("on", .on), ("On", .on), ("'on'", .on), ("off", .off), ("OFF", .off), ("full", .full),
            ("true", .full), ("True", .full), ("false", .off), ("FALSE", .off),
        ] as [(String, ProxyConfiguration.Upstream.ForwardedHeaders)])
    func takesForwardedHeaders(_ value: String, _ expected: ProxyConfiguration.Upstream.ForwardedHeaders) throws {
        let parsed = try Self.parse(value)
        #expect(parsed.upstream.forwardedHeaders == expected)
    }

    @Test(arguments: [
        ("yes", "unknown value \"yes\" (write off, on or full)"), ("ful", "unknown value \"ful\" (did you mean full?)"),
        ("[on]", "cannot unmarshal !!seq into string (write off, on or full)"),
    ])
    func refusesForwardedHeaders(_ value: String, _ problem: String) {
        let error = #expect(throws: ConfigurationError.self) { try Self.parse(value) }
        #expect(
            error?.diagnostics.map(\.description) == ["f:4:31: upstream.forwarded_headers: \(problem)"])
    }
}
