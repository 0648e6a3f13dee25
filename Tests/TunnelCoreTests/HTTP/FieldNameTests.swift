import Testing
import TunnelCore

@Suite struct FieldNameTests {
    static let names: [(String, FieldName)] = [
        ("Connection", .connection), ("Content-Length", .contentLength), ("Content-Type", .contentType),
        ("Expect", .expect), ("Forwarded", .forwarded), ("Host", .host), ("HTTP2-Settings", .http2Settings),
        ("Keep-Alive", .keepAlive),
        ("Proxy-Authenticate", .proxyAuthenticate), ("Proxy-Authentication-Info", .proxyAuthenticationInfo),
        ("Proxy-Authorization", .proxyAuthorization), ("Proxy-Connection", .proxyConnection),
        ("Retry-After", .retryAfter), ("Sec-WebSocket-Accept", .secWebSocketAccept),
        ("Sec-WebSocket-Extensions", .secWebSocketExtensions), ("Sec-WebSocket-Key", .secWebSocketKey),
        ("Sec-WebSocket-Protocol", .secWebSocketProtocol), ("Sec-WebSocket-Version", .secWebSocketVersion),
        ("TE", .te), ("Trailer", .trailer), ("Transfer-Encoding", .transferEncoding), ("Upgrade", .upgrade),
        ("Via", .via), ("X-Forwarded-For", .xForwardedFor), ("X-Forwarded-Host", .xForwardedHost),
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
            other[i] = 0x5F
            #expect(recognise(other) == .other)
        }
        #expect(recognise(bytes.dropLast()) == .other)
        #expect(recognise(bytes + [0x73]) == .other)
    }
}
