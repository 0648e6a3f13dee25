import Testing
import TunnelCore

@Suite struct UpstreamAddressTests {
    @Test(
        arguments: [
            ("http://hello-mcp:9000", "http", "hello-mcp", 9_000),
            ("https://sso.Example.corp:8443", "https", "sso.example.corp", 8_443),
            ("HTTP://10.0.0.1:80", "http", "10.0.0.1", 80),
            ("http://[fd00::A]:65535", "http", "fd00::a", 65_535), ("http://my_server:1", "http", "my_server", 1),
            ("http://mcp.default.svc.cluster.local.:80", "http", "mcp.default.svc.cluster.local.", 80),
        ] as [(String, String, String, UInt16)])
    func reads(_ text: String, _ scheme: String, _ host: String, _ port: UInt16) throws {
        let address = try UpstreamAddress(text)
        #expect(address.scheme.rawValue == scheme && address.host == host && address.port == port)
        #expect(address.description.lowercased() == text.lowercased())
        #expect(try UpstreamAddress(address.description) == address)
    }

    /// As long as the kernel takes one, less the zero behind it.
    @Test func aSocketsPathHas107Bytes() throws {
        let longest = "unix:/" + String(repeating: "a", count: 106)
        #expect(try UpstreamAddress(longest).socketPath?.utf8.count == 107)
        #expect(throws: UpstreamAddressError.self) { try UpstreamAddress(longest + "a") }
    }

    @Test(arguments: [
        "", "hello-mcp:9000", "hello-mcp", "://a:1", "http:/a:1", "http//a:1", "ftp://a:1", "ws://a:1", "http://",
        "http://:80", "http://a", "http://a:", "http://a:0", "http://a:65536", "http://a:+80",
        "http://a:080", "http://a:http", "http://a:80/", "http://a:80/mcp", "http://a:80?x", "http://a:80#x",
        "http://u@a:80", "http://u:p@a:80", "http://fd00::1:80", "http://[fd00::1]", "http://[fd00::1]80",
        "http://[10.0.0.1]:80", "http://[fd00::1%25eth0]:80", "http://[]:80", "http://127.1:80", "http://0x7f000001:80",
        "http://2130706433:80", "http://10.0.0.256:80", "http://a b:80", "http://a\\b:80", "http://bücher:80",
        "http://a:80 ", " http://a:80", "http://a:80\n", "http://a..b:80", "http://-a:80", "http://.:80",
        "http://a..:80", "http://http://a:80", "http://*.a:80", "http://10.0.0.1.:80",
    ])
    func refuses(_ text: String) {
        let error = #expect(throws: UpstreamAddressError.self) { try UpstreamAddress(text) }
        #expect(error?.description == "invalid upstream (must be scheme://host:port)")
        #expect(error?.reason.isEmpty == false)
    }

    @Test(arguments: ["http://a:80/mcp", "http://a:80?x", "http://a:80#x", "http://u@a:80", "http://u:p@a:80"])
    func saysWhatToRemove(_ text: String) {
        let error = #expect(throws: UpstreamAddressError.self) { try UpstreamAddress(text) }
        #expect(error?.reason == "remove the path, query or user name")
    }
}
