/// The client's opening handshake (RFC 6455 §4.1): makes the request, checks the response. No I/O.
public struct ClientHandshake: Sendable {
    /// Bytes of the longest response head that is read.
    public static let maxResponseHead = 16_384

    /// What the server agreed to.
    public struct Response: Equatable, Sendable {
        /// Bytes of the head; frames follow behind it.
        public var consumed: Int
        public var subprotocol: String?
        /// The parameters of permessage-deflate, `nil` for a connection without it.
        public var deflate: DeflateParameters?
    }

    private let host: String
    private let path: String
    private let headers: [(name: String, value: String)]
    private let subprotocols: [String]
    private let deflate: DeflateParameters?
    private let key: String

    /// - Parameter host: the value of the `Host` field, with the port if it is not the scheme's own.
    /// - Parameter path: path and query, beginning with `/`.
    /// - Parameter subprotocols: those we speak, in our order of preference.
    /// - Parameter deflate: what compression to offer; `nil` for none.
    /// - Parameter headers: further header fields, for example `Authorization` or `Origin`.
    /// - Parameter key: 16 random bytes in base64; for tests.
    /// - Throws: 1008 for a part that cannot stand in a request, such as a line break in a value.
    public init(
        host: String, path: String = "/", subprotocols: [String] = [], deflate: DeflateParameters? = nil,
        headers: [(name: String, value: String)] = [], key: String = WebSocketHandshake.makeKey()
    ) throws(WebSocketError) {
        guard HTTPToken.isTarget(host), HTTPToken.isTarget(path), path.hasPrefix("/"),
            WebSocketHandshake.isValidKey(key),
            subprotocols.allSatisfy({ HTTPToken.isToken($0) }),
            headers.allSatisfy(HTTPToken.isField)
        else { throw WebSocketError(code: .policyViolation, reason: "a part of the request is malformed") }
        self.host = host
        self.path = path
        self.headers = headers
        self.subprotocols = subprotocols
        self.deflate = deflate
        self.key = key
    }

    /// Appends the request.
    public func appendRequest(into buffer: inout ByteBuffer) {
        var text = "GET \(path) HTTP/1.1\r\nHost: \(host)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        text += "Sec-WebSocket-Key: \(key)\r\nSec-WebSocket-Version: \(WebSocketHandshake.version)\r\n"
        if !subprotocols.isEmpty { text += "Sec-WebSocket-Protocol: \(subprotocols.joined(separator: ", "))\r\n" }
        if let deflate { text += "Sec-WebSocket-Extensions: \(deflate.offer())\r\n" }
        for header in headers { text += "\(header.name): \(header.value)\r\n" }
        buffer.append(text + "\r\n")
    }

    /// Checks the server's response at the front of `bytes` (§4.1, the numbered list at its end).
    ///
    /// - Parameter bytes: everything received so far.
    /// - Returns: `nil` if more bytes are needed.
    /// - Throws: 1002 for a malformed response, another status than 101, or fields that do not accept our request; 1009
    ///   for a head above `maxResponseHead`; 1010 for an extension that we did not offer.
    public func check(_ bytes: Span<UInt8>) throws(WebSocketError) -> Response? {
        var head = ResponseHead()
        let size: Int?
        do throws(HTTPError) {
            let limits = HeadLimits(maxBytes: Self.maxResponseHead, maxFields: HeadLimits().maxFields)
            size = try head.parse(bytes, limits: limits, requestMethod: .get)
        } catch {
            let code: CloseCode = error.status == 431 ? .messageTooBig : .protocolError
            throw WebSocketError(code: code, reason: "handshake response: \(error.reason)")
        }
        guard let size else { return nil }
        guard head.status == 101, head.minorVersion == 1 else {
            throw .protocolError("handshake response with status \(head.status)")
        }
        guard head.switchesToWebSocket else {
            throw .protocolError("response without Upgrade: websocket or Connection: Upgrade (§4.1)")
        }
        func values(_ id: FieldName) -> [String] {
            head.fields.filter { $0.id == id }.map { field in
                bytes.extracting(field.value).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
            }
        }
        guard values(.secWebSocketAccept) == [WebSocketHandshake.accept(forKey: key)] else {
            throw .protocolError("Sec-WebSocket-Accept does not match our key (§4.1)")
        }
        let chosen = values(.secWebSocketProtocol)
        guard chosen.count <= 1, chosen.allSatisfy({ subprotocols.contains($0) }) else {
            throw .protocolError("subprotocol that was not asked for (§4.1)")
        }
        let deflate = try agree(WebSocketExtension.parse(values(.secWebSocketExtensions)))
        return Response(consumed: size, subprotocol: chosen.first, deflate: deflate)
    }

    private func agree(_ extensions: [WebSocketExtension]) throws(WebSocketError) -> DeflateParameters? {
        if let deflate { return try deflate.accept(extensions) }
        guard extensions.isEmpty else {
            throw WebSocketError(code: .mandatoryExtension, reason: "extension that was not offered (§4.1)")
        }
        return nil
    }
}
