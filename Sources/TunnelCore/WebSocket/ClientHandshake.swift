/// The client's opening handshake (RFC 6455 §4.1): makes the request, checks the answer. No I/O.
public struct ClientHandshake: Sendable {
    /// Bytes of the longest answer head that is read.
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
        let isVisible = { (text: String) in !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } }
        guard isVisible(host), isVisible(path), path.hasPrefix("/"), WebSocketHandshake.isValidKey(key),
            subprotocols.allSatisfy({ HTTPToken.isToken($0) }),
            headers.allSatisfy({ HTTPToken.isToken($0.name) && HTTPToken.isFieldValue($0.value) })
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

    /// Checks the server's answer at the front of `bytes` (§4.1, the numbered list at its end).
    ///
    /// - Parameter bytes: everything received so far.
    /// - Returns: `nil` if more bytes are needed.
    /// - Throws: 1002 for a malformed answer, another status than 101, or fields that do not accept our request; 1009
    ///   for a head above `maxResponseHead`; 1010 for an extension that we did not offer.
    public func check(_ bytes: Span<UInt8>) throws(WebSocketError) -> Response? {
        guard let end = Self.endOfHead(bytes) else {
            guard bytes.count < Self.maxResponseHead else {
                throw .messageTooBig("handshake answer", limit: Self.maxResponseHead)
            }
            return nil
        }
        let head = try ResponseFields(bytes.extracting(0..<end))
        guard head.status == 101 else { throw .protocolError("handshake answered with status \(head.status)") }
        guard WebSocketGrammar.contains(head.values("upgrade"), token: "websocket") else {
            throw .protocolError("answer without Upgrade: websocket (§4.1)")
        }
        guard WebSocketGrammar.contains(head.values("connection"), token: "upgrade") else {
            throw .protocolError("answer without Connection: Upgrade (§4.1)")
        }
        guard head.values("sec-websocket-accept") == [WebSocketHandshake.accept(forKey: key)] else {
            throw .protocolError("Sec-WebSocket-Accept does not match our key (§4.1)")
        }
        let chosen = head.values("sec-websocket-protocol")
        guard chosen.count <= 1, chosen.allSatisfy({ subprotocols.contains($0) }) else {
            throw .protocolError("subprotocol that was not asked for (§4.1)")
        }
        return Response(consumed: end, subprotocol: chosen.first, deflate: try agree(head))
    }

    private func agree(_ head: ResponseFields) throws(WebSocketError) -> DeflateParameters? {
        let extensions = try WebSocketExtension.parse(head.values("sec-websocket-extensions"))
        if let deflate { return try deflate.accept(extensions) }
        guard extensions.isEmpty else {
            throw WebSocketError(code: .mandatoryExtension, reason: "extension that was not offered (§4.1)")
        }
        return nil
    }

    /// The number of bytes up to and with the empty line, if that lies within the limit.
    private static func endOfHead(_ bytes: Span<UInt8>) -> Int? {
        let bound = min(bytes.count, maxResponseHead)
        var index = 3
        while index < bound {
            if bytes[index] == 0x0A, bytes[index - 1] == 0x0D, bytes[index - 2] == 0x0A, bytes[index - 3] == 0x0D {
                return index + 1
            }
            index += 1
        }
        return nil
    }
}

/// The status and the fields of an answer's head.
///
/// Small and strict: this answer is read once a connection, and it carries no body.
private struct ResponseFields {
    let status: Int
    private var fields: [(name: String, value: String)] = []

    /// - Parameter head: everything up to and with the empty line.
    init(_ head: Span<UInt8>) throws(WebSocketError) {
        let bytes = head.withUnsafeBytes { [UInt8]($0) }
        // Without the empty line and the last LF, every line ends with its CR.
        var lines = bytes.dropLast(3).split(separator: 0x0A, omittingEmptySubsequences: false)[...]
        guard lines.allSatisfy({ $0.last == 0x0D }) else { throw .protocolError("line ended by a bare LF") }
        guard let status = lines.popFirst().flatMap(Self.status) else { throw .protocolError("malformed status line") }
        self.status = status
        for line in lines {
            let content = line.dropLast()
            guard let colon = content.firstIndex(of: UInt8(ascii: ":")), colon > content.startIndex,
                content[..<colon].allSatisfy({ HTTPToken.isToken($0) }),
                content[colon...].allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 })
            else { throw .protocolError("malformed header line") }
            let name = String(decoding: content[..<colon], as: UTF8.self).lowercased()
            fields.append((name, WebSocketGrammar.trim(content[(colon + 1)...])))
        }
    }

    /// The values of every field of that name, given in lower case.
    func values(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

    /// `HTTP/1.1`, a space, three digits, then a space and a phrase or nothing (RFC 9112 §4).
    private static func status(_ line: ArraySlice<UInt8>) -> Int? {
        let line = line.dropLast()
        guard line.starts(with: Array("HTTP/1.1 ".utf8)) else { return nil }
        let digits = line.dropFirst(9).prefix(3)
        guard digits.count == 3, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        guard line.count == 12 || line[line.startIndex + 12] == 0x20 else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }
}
