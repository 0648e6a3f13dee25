import Testing
import TunnelCore
import TunnelProxy

@Suite struct ListenAddressTests {
    @Test(
        arguments: [
            (":8080", .tcp(nil, port: 8080), ":8080"), (":0", .tcp(nil, port: 0), ":0"),
            ("127.0.0.1:8080", .tcp(IPAddress(v4Bytes: 127, 0, 0, 1), port: 8080), "127.0.0.1:8080"),
            ("0.0.0.0:65535", .tcp(IPAddress(v4: 0), port: 65_535), "0.0.0.0:65535"),
            ("[::]:8080", .tcp(IPAddress(v6High: 0, low: 0), port: 8080), "[::]:8080"),
            ("[FD00::1]:1", .tcp(IPAddress("fd00::1"), port: 1), "[fd00::1]:1"),
            ("[fd00:0:0::0:1]:1", .tcp(IPAddress("fd00::1"), port: 1), "[fd00::1]:1"),
            ("localhost:80", .tcp(IPAddress(v4Bytes: 127, 0, 0, 1), port: 80), "127.0.0.1:80"),
            ("unix:/run/mcp.sock", .unix(path: "/run/mcp.sock"), "unix:/run/mcp.sock"),
        ] as [(String, ListenAddress, String)])
    func reads(_ text: String, _ address: ListenAddress, _ description: String) {
        #expect(ListenAddress(text) == address)
        #expect(address.description == description)
        #expect(ListenAddress(description) == address)
    }

    @Test(arguments: [
        "", ":", "8080", "127.0.0.1", ":65536", ":+80", ":080", ":http", "::8080", "[::]", "[::]8080", "[127.0.0.1]:80",
        "::1:80", "example.com:80", "*:80", "127.1:80", "unix:", "unix:run/x",
        "unix:@x", "unix:/a\u{0}b", ":8080 ", "http://127.0.0.1:80", "[]:80", "[::1:80", "::1]:80",
    ])
    func refuses(_ text: String) {
        #expect(ListenAddress(text) == nil)
    }

    @Test func limitsSocketPaths() {
        #expect(ListenAddress("unix:/" + String(repeating: "a", count: 106)) != nil)
        #expect(ListenAddress("unix:/" + String(repeating: "a", count: 107)) == nil)
    }
}
