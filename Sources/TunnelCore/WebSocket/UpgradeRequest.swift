internal import COpenSSL

/// The part of an HTTP request that decides whether it opens a WebSocket (RFC 6455 §4.2.1), as plain values.
///
/// Whoever parsed the request puts in the values of every field of the name, in order; none present is an empty array.
public struct UpgradeRequest: Sendable {
    public var method: String
    /// The `1` of `HTTP/1.1`.
    public var httpMinorVersion: Int
    public var connection: [String] = []
    public var upgrade: [String] = []
    /// `Sec-WebSocket-Version`.
    public var version: [String] = []
    /// `Sec-WebSocket-Key`.
    public var key: [String] = []
    /// `Sec-WebSocket-Protocol`.
    public var protocols: [String] = []
    /// `Sec-WebSocket-Extensions`.
    public var extensions: [String] = []

    public init(method: String, httpMinorVersion: Int) {
        self.method = method
        self.httpMinorVersion = httpMinorVersion
    }

    /// The same from a request's head, which was parsed from `bytes`.
    public init(_ head: RequestHead, in bytes: Span<UInt8>) {
        func text(_ range: Range<Int>) -> String {
            bytes.extracting(range).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        }
        self.init(method: text(head.methodRange), httpMinorVersion: Int(head.minorVersion))
        for field in head.fields {
            switch field.id {
            case .connection: connection.append(text(field.value))
            case .upgrade: upgrade.append(text(field.value))
            case .secWebSocketVersion: version.append(text(field.value))
            case .secWebSocketKey: key.append(text(field.value))
            case .secWebSocketProtocol: protocols.append(text(field.value))
            case .secWebSocketExtensions: extensions.append(text(field.value))
            default: break
            }
        }
    }

    /// What to put into the response, a 101, and what was agreed.
    public struct Acceptance: Equatable, Sendable {
        public let key: String
        /// The subprotocol to name in the response, if the client asked for it.
        public let subprotocol: String?
        /// The value of the response's `Sec-WebSocket-Extensions` field.
        public let extensions: String?
        /// The parameters of permessage-deflate, `nil` for a connection without it.
        public let deflate: DeflateParameters?

        /// Appends the response, a 101.
        ///
        /// - Parameter fields: further fields. One that could not stand in a head is left out.
        public func appendResponse(fields: [(name: String, value: String)] = [], into buffer: inout ByteBuffer) {
            WebSocketHandshake.appendServerResponse(
                acceptFor: key, subprotocol: subprotocol, extensions: extensions, fields: fields, into: &buffer)
        }
    }

    /// Why there is no WebSocket, and how to say so.
    public struct Rejection: Sendable {
        /// 400, 405 or 426.
        public let status: Int
        /// One line for the response's body and our log; holds nothing the peer sent.
        public let reason: String
        /// The fields that go with the status, as ``ErrorResponse`` takes them: with Upgrade among them Connection has to
        /// name it, and is not here.
        public let fields: [(name: String, value: String)]
    }

    public enum Decision: Sendable {
        case upgrade(Acceptance)
        case reject(Rejection)
    }

    /// Judges the request by RFC 6455 §4.2.1 and §4.2.2.
    ///
    /// - Parameter subprotocol: the one to speak if the client asks for it. Compared by case.
    /// - Parameter deflate: what compression to agree to; `nil` for none.
    public func evaluate(subprotocol: String? = nil, deflate: DeflateParameters? = nil) -> Decision {
        guard method == "GET" else { return .reject(.method) }
        // RFC 9110 §7.8: an Upgrade field in an HTTP/1.0 request is to be ignored.
        guard httpMinorVersion >= 1, WebSocketGrammar.contains(connection, token: "upgrade"),
            WebSocketGrammar.contains(upgrade, token: "websocket")
        else { return .reject(.notUpgrade) }
        guard version.count <= 1 else { return .reject(.bad("more than one Sec-WebSocket-Version")) }
        guard version.first == WebSocketHandshake.version else { return .reject(.version) }
        guard key.count == 1, let key = key.first else { return .reject(.bad("Sec-WebSocket-Key must occur once")) }
        guard WebSocketHandshake.isValidKey(key) else { return .reject(.bad("Sec-WebSocket-Key is not 16 bytes")) }

        let asked = WebSocketGrammar.list(protocols)
        // RFC 6455 §4.1: tokens, all different, at least one if the field is there.
        guard asked.allSatisfy({ HTTPToken.isToken($0) }), Set(asked).count == asked.count,
            protocols.isEmpty || !asked.isEmpty
        else { return .reject(.bad("malformed Sec-WebSocket-Protocol")) }
        let offers: [WebSocketExtension]
        do {
            offers = try WebSocketExtension.parse(extensions)
        } catch {
            return .reject(.bad("malformed Sec-WebSocket-Extensions"))
        }

        let choice = deflate?.choose(from: offers)
        return .upgrade(
            Acceptance(
                key: key, subprotocol: subprotocol.flatMap { asked.contains($0) ? $0 : nil },
                extensions: choice?.response, deflate: choice?.agreed))
    }
}

extension UpgradeRequest.Rejection {
    fileprivate static let method = Self(
        status: 405, reason: "a WebSocket is opened with GET", fields: [("Allow", "GET")])
    // RFC 9110 §15.5.22 and §7.8: 426 names the protocol in Upgrade, which Connection lists.
    fileprivate static let notUpgrade = Self(
        status: 426, reason: "this address speaks WebSocket only", fields: [("Upgrade", "websocket")])
    // RFC 6455 §4.4.
    fileprivate static let version = Self(
        status: 426, reason: "WebSocket version 13 is required",
        fields: [("Upgrade", "websocket"), ("Sec-WebSocket-Version", WebSocketHandshake.version)])
    fileprivate static func bad(_ reason: String) -> Self { Self(status: 400, reason: reason, fields: []) }
}

/// What both sides of the opening handshake compute and write (RFC 6455 §1.3 and §4.2.2).
public enum WebSocketHandshake {
    /// The only version of the protocol that exists (§4.1).
    public static let version = "13"
    /// Appended to the key before hashing (§1.3).
    private static let guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    /// The value of `Sec-WebSocket-Accept` that answers `key`: base64 of the SHA-1 of key and GUID (§4.2.2).
    public static func accept(forKey key: String) -> String {
        let input = Array((key + guid).utf8)
        // SAFETY: SHA1 writes the 20 bytes that the array has.
        let digest = [UInt8](unsafeUninitializedCapacity: Int(SHA_DIGEST_LENGTH)) { room, count in
            SHA1(input, input.count, room.baseAddress)
            count = Int(SHA_DIGEST_LENGTH)
        }
        return base64(digest)
    }

    /// Whether `key` is the base64 form of 16 bytes (§4.1): 22 characters and two of padding.
    ///
    /// The four bits of the last character that stand for nothing may be set: the RFC's own example has them so.
    public static func isValidKey(_ key: String) -> Bool {
        guard key.utf8.count == 24, key.hasSuffix("==") else { return false }
        return key.utf8.prefix(22).allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "/"):
                true
            default: false
            }
        }
    }

    /// A fresh key for a client (§4.1).
    public static func makeKey() -> String {
        var random = SystemRandomNumberGenerator()
        return base64((0..<16).map { _ in UInt8.random(in: .min ... .max, using: &random) })
    }

    /// Appends the server's response, a 101 (§4.2.2).
    ///
    /// - Parameter subprotocol: one of those the client asked for. Left out if it is not a token.
    /// - Parameter extensions: the value that `DeflateParameters.choose(from:)` made. Left out if it could not stand in
    ///   a header field.
    /// - Parameter fields: further fields. One that could not stand in a head is left out.
    public static func appendServerResponse(
        acceptFor key: String, subprotocol: String? = nil, extensions: String? = nil,
        fields: [(name: String, value: String)] = [], into buffer: inout ByteBuffer
    ) {
        buffer.append("HTTP/1.1 101 Switching Protocols\r\n" as StaticString)
        buffer.append("Upgrade: websocket\r\nConnection: Upgrade\r\n" as StaticString)
        buffer.append("Sec-WebSocket-Accept: \(accept(forKey: key))\r\n" as String)
        if let subprotocol, HTTPToken.isToken(subprotocol) {
            buffer.append("Sec-WebSocket-Protocol: \(subprotocol)\r\n" as String)
        }
        if let extensions, HTTPToken.isFieldValue(extensions) {
            buffer.append("Sec-WebSocket-Extensions: \(extensions)\r\n" as String)
        }
        for field in fields where HTTPToken.isField(field) {
            buffer.append("\(field.name): \(field.value)\r\n" as String)
        }
        buffer.append("\r\n" as StaticString)
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        let size = (bytes.count + 2) / 3 * 4
        // SAFETY: EVP_EncodeBlock writes four characters for three bytes, and a NUL for which there is room.
        let text = [UInt8](unsafeUninitializedCapacity: size + 1) { room, count in
            EVP_EncodeBlock(room.baseAddress, bytes, CInt(bytes.count))
            count = size
        }
        return String(decoding: text, as: UTF8.self)
    }
}
