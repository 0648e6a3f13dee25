/// The field names that somebody branches on; every other name is `.other` and is only passed on.
public enum FieldName: UInt8, Sendable, Equatable {
    case other
    case connection, contentLength, contentType, expect, forwarded, host, http2Settings, keepAlive
    case proxyAuthenticate, proxyAuthenticationInfo, proxyAuthorization, proxyConnection, retryAfter
    case secWebSocketAccept, secWebSocketExtensions, secWebSocketKey, secWebSocketProtocol, secWebSocketVersion
    case te, trailer, transferEncoding, upgrade, via
    case xForwardedFor, xForwardedHost, xForwardedProto

    /// Recognises the token at `name`, in any case.
    package init(_ name: Range<Int>, in bytes: Span<UInt8>) {
        @inline(__always) func named(_ text: StaticString, _ id: FieldName) -> FieldName? {
            bytes.matches(name, ignoringCase: text) ? id : nil
        }
        let found: FieldName? =
            switch name.count {
            case 2: named("te", .te)
            case 3: named("via", .via)
            case 4: named("host", .host)
            case 6: named("expect", .expect)
            case 7: named("upgrade", .upgrade) ?? named("trailer", .trailer)
            case 9: named("forwarded", .forwarded)
            case 10: named("connection", .connection) ?? named("keep-alive", .keepAlive)
            case 11: named("retry-after", .retryAfter)
            case 12: named("content-type", .contentType)
            case 14: named("content-length", .contentLength) ?? named("http2-settings", .http2Settings)
            case 15: named("x-forwarded-for", .xForwardedFor)
            case 16: named("x-forwarded-host", .xForwardedHost) ?? named("proxy-connection", .proxyConnection)
            case 17:
                named("transfer-encoding", .transferEncoding) ?? named("x-forwarded-proto", .xForwardedProto)
                    ?? named("sec-websocket-key", .secWebSocketKey)
            case 18: named("proxy-authenticate", .proxyAuthenticate)
            case 19: named("proxy-authorization", .proxyAuthorization)
            case 20: named("sec-websocket-accept", .secWebSocketAccept)
            case 21: named("sec-websocket-version", .secWebSocketVersion)
            case 22: named("sec-websocket-protocol", .secWebSocketProtocol)
            case 24: named("sec-websocket-extensions", .secWebSocketExtensions)
            case 25: named("proxy-authentication-info", .proxyAuthenticationInfo)
            default: nil
            }
        self = found ?? .other
    }
}
