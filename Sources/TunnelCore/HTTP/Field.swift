/// One field line of a head (RFC 9112 §5), as offsets into the bytes it was parsed from.
public struct Field: Sendable, Equatable {
    private let nameStart: UInt32
    private let nameEnd: UInt32
    private let valueStart: UInt32
    private let valueEnd: UInt32
    private let lineEnd: UInt32
    /// Which name it is.
    public let id: FieldName
    /// It concerns one connection only and is not passed on (RFC 9110 §7.6.1); see `HopByHop`.
    public internal(set) var isHopByHop = false
    /// What the decoder of HTTP/2 noticed; empty for a line of HTTP/1, whose parser refuses what it notices.
    var traits: FieldTraits = []

    /// The peer marked the field as one that must never enter a compression table (RFC 7541 §7.1.3), which whoever passes
    /// it on by HTTP/2 has to repeat.
    public var isNeverIndexed: Bool { traits.contains(.neverIndexed) }

    /// The name, in the case it came in.
    public var name: Range<Int> { Int(nameStart)..<Int(nameEnd) }
    /// The value without the white space around it; may be empty.
    public var value: Range<Int> { Int(valueStart)..<Int(valueEnd) }
    /// The whole line as it came, from the name to before its CRLF.
    public var line: Range<Int> { Int(nameStart)..<Int(lineEnd) }

    /// Parses one line without its CRLF. The line holds no control byte but HTAB and ends below 4 GiB; the scanner of
    /// lines sees to both.
    ///
    /// - Throws: 400 for a name that is empty or not a token, space before the colon, no colon, or a folded line.
    init(line: Range<Int>, in bytes: Span<UInt8>) throws(HTTPError) {
        let colon = bytes.tokenEnd(from: line.lowerBound, to: line.upperBound)
        guard colon < line.upperBound, bytes[colon] == HTTPByte.colon, colon > line.lowerBound else {
            throw Field.refusal(of: line, at: colon, in: bytes)
        }
        let name = line.lowerBound..<colon
        let value = bytes.trimmed(colon + 1..<line.upperBound)
        nameStart = UInt32(truncatingIfNeeded: name.lowerBound)
        nameEnd = UInt32(truncatingIfNeeded: name.upperBound)
        valueStart = UInt32(truncatingIfNeeded: value.lowerBound)
        valueEnd = UInt32(truncatingIfNeeded: value.upperBound)
        lineEnd = UInt32(truncatingIfNeeded: line.upperBound)
        id = FieldName(name, in: bytes)
    }

    /// The line `name: value`, which was written by us at `start`, and what is known about it.
    init(at start: Int, nameCount: Int, valueCount: Int, id: FieldName, traits: FieldTraits) {
        nameStart = UInt32(truncatingIfNeeded: start)
        nameEnd = UInt32(truncatingIfNeeded: start + nameCount)
        valueStart = UInt32(truncatingIfNeeded: start + nameCount + 2)
        valueEnd = UInt32(truncatingIfNeeded: start + nameCount + 2 + valueCount)
        lineEnd = valueEnd
        self.id = id
        self.traits = traits
    }

    /// The same field where its line begins at `start`.
    func moved(to start: Int) -> Field {
        var field = Field(at: start, nameCount: name.count, valueCount: value.count, id: id, traits: traits)
        field.isHopByHop = isHopByHop
        return field
    }

    /// Names the rule broken by the byte at `index`, the first that is not part of a name.
    private static func refusal(of line: Range<Int>, at index: Int, in bytes: Span<UInt8>) -> HTTPError {
        guard index < line.upperBound else { return .badMessage("field line without a colon (RFC 9112 5)") }
        let byte = bytes[index]
        let isSpace = byte == HTTPByte.space || byte == HTTPByte.tab
        if index == line.lowerBound {
            if isSpace { return .badMessage("folded field line (RFC 9112 5.2)") }
            if byte == HTTPByte.colon { return .badMessage("empty field name (RFC 9110 5.1)") }
        }
        if isSpace { return .badMessage("space in or after a field name (RFC 9112 5.1)") }
        return .badMessage("invalid byte in a field name (RFC 9110 5.1)")
    }
}

/// The field names that somebody branches on; every other name is `.other` and is only passed on.
@nonexhaustive
public enum FieldName: UInt8, Sendable, Equatable {
    case other
    case authorization, connection, contentLength, contentType, cookie, expect, forwarded
    /// One of the names that ``ForwardedFields`` takes out: read as one of ours, or saying what ours say.
    case forwardingAlias
    case host, http2Settings, keepAlive
    /// What a request of MCP says of itself.
    case mcpMethod, mcpName, mcpProtocolVersion, mcpSessionID
    case persistentAuth, proxy
    case proxyAuthenticate, proxyAuthenticationInfo, proxyAuthorization, proxyConnection, requestID, retryAfter
    case secWebSocketAccept, secWebSocketExtensions, secWebSocketKey, secWebSocketProtocol, secWebSocketVersion
    case te, traceParent, traceState, trailer, transferEncoding, upgrade, via, wwwAuthenticate
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
            case 5: named("proxy", .proxy)
            case 6: named("expect", .expect) ?? named("cookie", .cookie)
            case 7: named("upgrade", .upgrade) ?? named("trailer", .trailer)
            case 8: named("mcp-name", .mcpName)
            case 9: named("forwarded", .forwarded)
            case 10:
                named("connection", .connection) ?? named("mcp-method", .mcpMethod) ?? named("keep-alive", .keepAlive)
                    ?? named("request-id", .requestID) ?? named("tracestate", .traceState)
            case 11: named("retry-after", .retryAfter) ?? named("traceparent", .traceParent)
            case 12: named("content-type", .contentType)
            case 13: named("authorization", .authorization)
            case 14:
                named("content-length", .contentLength) ?? named("mcp-session-id", .mcpSessionID)
                    ?? named("http2-settings", .http2Settings)
            case 15: named("x-forwarded-for", .xForwardedFor) ?? named("persistent-auth", .persistentAuth)
            case 16:
                named("x-forwarded-host", .xForwardedHost) ?? named("proxy-connection", .proxyConnection)
                    ?? named("www-authenticate", .wwwAuthenticate)
            case 17:
                named("transfer-encoding", .transferEncoding) ?? named("x-forwarded-proto", .xForwardedProto)
                    ?? named("sec-websocket-key", .secWebSocketKey)
            case 18: named("proxy-authenticate", .proxyAuthenticate)
            case 19: named("proxy-authorization", .proxyAuthorization)
            case 20:
                named("mcp-protocol-version", .mcpProtocolVersion) ?? named("sec-websocket-accept", .secWebSocketAccept)
            case 21: named("sec-websocket-version", .secWebSocketVersion)
            case 22: named("sec-websocket-protocol", .secWebSocketProtocol)
            case 24: named("sec-websocket-extensions", .secWebSocketExtensions)
            case 25: named("proxy-authentication-info", .proxyAuthenticationInfo)
            default: nil
            }
        self = found ?? (ForwardedFields.isAlias(name, in: bytes) ? .forwardingAlias : .other)
    }
}

/// What is noticed about a field when its bytes are written, so that it need not be looked for again, not even when a
/// compression table repeats it.
struct FieldTraits: OptionSet, Sendable {
    let rawValue: UInt8

    /// The name begins with ":" (RFC 9113 §8.3).
    static let pseudo = FieldTraits(rawValue: 1)
    /// The name is empty or holds more than the bytes of a token in small letters (RFC 9113 §8.2.1).
    static let badName = FieldTraits(rawValue: 2)
    /// The value holds a control byte other than HTAB, or white space at an end (RFC 9113 §8.2.1).
    static let badValue = FieldTraits(rawValue: 4)
    static let neverIndexed = FieldTraits(rawValue: 8)

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// What a name says.
    init(name: Range<Int>, in bytes: Span<UInt8>) {
        if !name.isEmpty, bytes[name.lowerBound] == HTTPByte.colon {
            self.init(rawValue: FieldTraits.pseudo.rawValue | PseudoName(name, in: bytes).rawValue << 4)
        } else {
            self = bytes.holdsOnly(.smallToken, in: name) ? [] : .badName
        }
    }

    /// What a value says, beside a name that says the same as in these traits.
    func with(value: Range<Int>, in bytes: Span<UInt8>) -> FieldTraits {
        var traits = subtracting([.badValue, .neverIndexed])
        if !value.isEmpty,
            bytes[value.lowerBound] <= HTTPByte.space || bytes[value.upperBound - 1] <= HTTPByte.space
                || bytes.firstControl(from: value.lowerBound, to: value.upperBound) < value.upperBound
        {
            traits.insert(.badValue)
        }
        return traits
    }

    /// Which pseudo-header field it is.
    var pseudoName: PseudoName { PseudoName(rawValue: rawValue >> 4) ?? .unknown }
}

/// The pseudo-header fields (RFC 9113 §8.3, RFC 8441 §4).
enum PseudoName: UInt8, Sendable {
    case unknown, method, scheme, authority, path, status, connectProtocol

    init(_ name: Range<Int>, in bytes: Span<UInt8>) {
        self =
            switch name.count {
            case 5 where bytes.matches(name, ":path"): .path
            case 7 where bytes.matches(name, ":method"): .method
            case 7 where bytes.matches(name, ":scheme"): .scheme
            case 7 where bytes.matches(name, ":status"): .status
            case 9 where bytes.matches(name, ":protocol"): .connectProtocol
            case 10 where bytes.matches(name, ":authority"): .authority
            default: .unknown
            }
    }
}

/// Some of the names, a bit each.
package struct FieldNames: Sendable, Equatable {
    private var bits: UInt64 = 0

    package init() {}

    /// The set with `name` in it: for chains that the compiler folds into a number.
    @inline(__always)
    package func with(_ name: FieldName) -> FieldNames {
        var result = self
        result.insert(name)
        return result
    }

    @inline(__always)
    func union(_ other: FieldNames) -> FieldNames {
        var result = self
        result.bits |= other.bits
        return result
    }

    @inline(__always)
    package mutating func insert(_ name: FieldName) { bits |= 1 << UInt64(name.rawValue) }

    @inline(__always)
    func contains(_ name: FieldName) -> Bool { bits & 1 << UInt64(name.rawValue) != 0 }

    @inline(__always)
    func overlaps(_ other: FieldNames) -> Bool { bits & other.bits != 0 }
}
