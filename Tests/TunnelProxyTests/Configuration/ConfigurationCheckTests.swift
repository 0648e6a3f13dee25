import Testing
import TunnelCore
import TunnelProxy

/// Each range at its ends and one step beyond.
@Suite struct ConfigurationCheckTests {
    private func accepts(_ section: String, _ field: String, _ value: String) -> Bool {
        let line = section.isEmpty ? "\(field): \(value)" : "\(section): {\(field): \(value)}"
        var text = "listen_addr: \":8080\"\nroutes: {a.b: 'http://a:1'}\n"
        text +=
            section == "tls"
            ? "tls: {cert_file: /c, key_file: /k, \(field): \(value)}\n"
            : "tls: {cert_file: /c, key_file: /k}\n\(line)\n"
        do throws(ConfigurationError) {
            _ = try ProxyConfiguration.parse(Array(text.utf8), file: "f")
            return true
        } catch {
            #expect(error.diagnostics.map(\.field) == [section.isEmpty ? field : "\(section).\(field)"], "\(error)")
            #expect(error.diagnostics.allSatisfy { $0.problem.contains("out of range") && $0.mark != nil })
            return false
        }
    }

    @Test(arguments: [
        ("", "threads", 0, 256), ("upstream", "max_idle_per_route", 0, 65_536),
        ("websocket", "max_frame_size", 1_024, 1_073_741_824),
        ("limits", "max_header_bytes", 1_024, 1_048_576), ("limits", "max_headers", 1, 10_000),
        ("limits", "max_requests_per_connection", 1, 100_000),
        ("limits", "max_requests", 1, 1_000_000), ("limits", "max_connections", 0, 1_000_000),
        ("limits", "max_pending_connections", 1, 1_000_000),
        ("limits", "buffer_size", 16_384, 1_048_576),
    ])
    func limitsNumbers(_ section: String, _ field: String, _ least: Int, _ most: Int) {
        #expect(accepts(section, field, "\(least)") && accepts(section, field, "\(most)"))
        #expect(!accepts(section, field, "\(least - 1)") && !accepts(section, field, "\(most + 1)"))
        #expect(!accepts(section, field, "-9223372036854775808") && !accepts(section, field, "9223372036854775807"))
    }

    @Test(arguments: [
        ("", "shutdown_timeout", "0", "-1ns"), ("", "shutdown_delay", "0", "-1ns"),
        ("tls", "reload_interval", "10ms", "9ms"),
        ("tls", "handshake_timeout", "1ms", "0"), ("upstream", "connect_timeout", "1ms", "0"),
        ("upstream", "response_header_timeout", "0", "-1s"), ("upstream", "dns_timeout", "1ms", "0"),
        ("upstream", "dns_ttl", "0", "-1s"), ("upstream", "idle_timeout", "1ms", "0"),
        ("websocket", "ping_interval", "0", "-1s"), ("websocket", "idle_timeout", "0", "-1s"),
        ("limits", "header_timeout", "1ms", "0"), ("limits", "keep_alive_timeout", "0", "-1s"),
    ])
    func limitsDurations(_ section: String, _ field: String, _ least: String, _ below: String) {
        #expect(accepts(section, field, least) && accepts(section, field, "8760h"))
        #expect(!accepts(section, field, below) && !accepts(section, field, "8760h1ns"))
        #expect(!accepts(section, field, "-2562047h") && !accepts(section, field, "2562047h"))
    }

    /// 0 is off, and from there to a second there is nothing.
    @Test func limitsTheKeepAliveOfEventStreams() {
        func accepts(_ field: String, _ value: String) -> Bool {
            let text =
                "listen_addr: ':8080'\nroutes: {a.b: 'http://a:1'}\ntls: {cert_file: /c, key_file: /k}\nupstream: {\(field): \(value)}\n"
            return (try? ProxyConfiguration.parse(Array(text.utf8), file: "f")) != nil
        }
        for value in ["0", "1s", "8760h"] {
            #expect(accepts("sse_keepalive", value))
            #expect(accepts("sse_keepalive_routes", "{A.b: \(value)}"))
            #expect(!accepts("sse_keepalive_routes", "{a.b: \(value), A.B: \(value)}"))
        }
        for value in ["1ns", "999ms", "-1s", "8760h1ns", "15", "[]"] {
            #expect(!accepts("sse_keepalive", value))
            #expect(!accepts("sse_keepalive_routes", "{a.b: \(value)}"))
        }
        #expect(accepts("sse_keepalive_routes", "{}"))
        #expect(!accepts("sse_keepalive_routes", "{a.c: 1s}"))
    }

    @Test(arguments: [
        (":8080", "127.0.0.1:9090", true), (":8080", "", true), (":8080", "127.0.0.1:8080", false),
        ("127.0.0.1:8080", "[::1]:8080", true), ("127.0.0.1:8080", "[::]:8080", false), (":0", ":0", true),
        ("unix:/run/a", "unix:/run/a", false), ("unix:/run/a", "unix:/run/b", true), (":8080", "example:1", false),
    ])
    func adminNeedsAnAddressOfItsOwn(_ listener: String, _ admin: String, _ isValid: Bool) {
        let text =
            "listen_addr: '\(listener)'\nadmin_addr: '\(admin)'\nroutes: {a.b: 'http://a:1'}\ntls: {cert_file: /c, key_file: /k}\n"
        #expect(((try? ProxyConfiguration.parse(Array(text.utf8), file: "f")) != nil) == isValid)
    }

    @Test(arguments: [
        ("mcp", true), ("a.b-c_1", true), ("\"\"", true), ("'a b'", false), ("'a,b'", false), ("é", false),
        ("\"a\\n\"", false),
    ])
    func checksTheSubprotocol(_ value: String, _ isValid: Bool) {
        let text =
            "listen_addr: \":8080\"\nroutes: {a.b: 'http://a:1'}\ntls: {cert_file: /c, key_file: /k}\nwebsocket: {subprotocol: \(value)}\n"
        #expect(((try? ProxyConfiguration.parse(Array(text.utf8), file: "f")) != nil) == isValid)
    }
}
