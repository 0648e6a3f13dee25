import Testing
import TunnelCore

@Suite struct FieldNameTests {
    static let names: [(String, FieldName)] = [
        ("Authorization", .authorization), ("Connection", .connection), ("Content-Length", .contentLength),
        ("Content-Type", .contentType),
        ("Expect", .expect), ("Forwarded", .forwarded), ("Host", .host), ("HTTP2-Settings", .http2Settings),
        ("Keep-Alive", .keepAlive), ("Mcp-Method", .mcpMethod), ("Mcp-Name", .mcpName),
        ("MCP-Protocol-Version", .mcpProtocolVersion), ("Mcp-Session-Id", .mcpSessionID),
        ("Request-Id", .requestID), ("traceparent", .traceParent), ("tracestate", .traceState),
        ("Persistent-Auth", .persistentAuth), ("Proxy", .proxy),
        ("Proxy-Authenticate", .proxyAuthenticate), ("Proxy-Authentication-Info", .proxyAuthenticationInfo),
        ("Proxy-Authorization", .proxyAuthorization), ("Proxy-Connection", .proxyConnection),
        ("Retry-After", .retryAfter), ("Sec-WebSocket-Accept", .secWebSocketAccept),
        ("Sec-WebSocket-Extensions", .secWebSocketExtensions), ("Sec-WebSocket-Key", .secWebSocketKey),
        ("Sec-WebSocket-Protocol", .secWebSocketProtocol), ("Sec-WebSocket-Version", .secWebSocketVersion),
        ("TE", .te), ("Trailer", .trailer), ("Transfer-Encoding", .transferEncoding), ("Upgrade", .upgrade),
        ("Via", .via), ("WWW-Authenticate", .wwwAuthenticate),
        ("X-Forwarded-For", .xForwardedFor), ("X-Forwarded-Host", .xForwardedHost),
        ("X-Forwarded-Proto", .xForwardedProto),
    ]

    private func recognise(_ name: [UInt8]) -> FieldName { FieldName(0..<name.count, in: name.span) }

    @Test(arguments: names) func recognisesInAnyCase(_ name: String, _ id: FieldName) {
        for text in [name, name.lowercased(), name.uppercased()] {
            #expect(recognise(Array(text.utf8)) == id)
        }
    }

    /// One byte changed, added or left out is another name.
    @Test(arguments: names) func nothingElse(_ name: String, _ id: FieldName) {
        let bytes = Array(name.utf8)
        for i in bytes.indices {
            var other = bytes
            // A byte that is read as no other's.
            other[i] = bytes[i] == 0x71 ? 0x7A : 0x71
            #expect(recognise(other) == .other)
        }
        #expect(recognise(bytes.dropLast()) == .other)
        #expect(recognise(bytes + [0x73]) == .other)
    }

    /// CGI and WSGI make one of `-` and `_`, and Apache once of every byte that is no letter or digit.
    @Test(arguments: [
        "X-Real-IP", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Forwarded-Scheme",
        "X-Forwarded-Protocol", "X-Forwarded-Ssl",
    ]) func recognisesWhatPassesForOurs(_ name: String) {
        for text in [name, name.lowercased(), name.uppercased(), name.replacing("-", with: "_")] {
            #expect(recognise(Array(text.utf8)) == .forwardingAlias, "\(text)")
        }
        let bytes = Array(name.utf8)
        for i in bytes.indices {
            var other = bytes
            other[i] = 0x71
            #expect(recognise(other) == .other)
        }
        #expect(recognise(bytes.dropLast()) == .other)
        #expect(recognise(bytes + [0x71]) == .other)
    }

    @Test(arguments: ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP"])
    func recognisesEverySpellingOfOurs(_ name: String) {
        // Each of the two separators as it is, as "_" or as another byte that a name may hold.
        let parts = name.split(separator: "-").map { Array($0.utf8) }
        let separators: [UInt8] = [0x2D, 0x5F, 0x2E, 0x7E]
        for first in separators {
            for second in separators where name == "X-Real-IP" || (first, second) != (0x2D, 0x2D) {
                let text = parts[0] + [first] + parts[1] + [second] + parts[2]
                #expect(recognise(text) == .forwardingAlias)
                #expect(recognise(text.map { 0x61...0x7A ~= $0 ? $0 - 0x20 : $0 }) == .forwardingAlias)
            }
        }
    }

    /// Names that begin alike and mean something else.
    @Test(arguments: ["X-Forwarded", "X-Forwarded-User", "X-Forwarded-Email", "X-Request-Id", "X_Under", "X-Real-IPs"])
    func leavesOthersAlone(_ name: String) { #expect(recognise(Array(name.utf8)) == .other) }
}
