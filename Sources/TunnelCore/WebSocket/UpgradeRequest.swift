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

    /// What to put into the answer 101, and what was agreed.
    public struct Acceptance: Equatable, Sendable {
        public let key: String
        /// The subprotocol to name in the answer, if the client asked for it.
        public let subprotocol: String?
        /// The value of the answer's `Sec-WebSocket-Extensions` field.
        public let extensions: String?
        /// The parameters of permessage-deflate, `nil` for a connection without it.
        public let deflate: DeflateParameters?

        /// Appends the answer 101.
        public func appendResponse(into buffer: inout ByteBuffer) {
            WebSocketHandshake.appendServerResponse(
                acceptFor: key, subprotocol: subprotocol, extensions: extensions, into: &buffer)
        }
    }

    /// Why there is no WebSocket, and how to say so.
    public struct Rejection: Equatable, Sendable {
        /// 400, 405 or 426.
        public let status: Int
        /// One line for the answer's body and our log; holds nothing the peer sent.
        public let reason: String
        /// The header lines that go with the status, each ended by CRLF; may be empty.
        public let headerLines: String
    }

    public enum Decision: Equatable, Sendable {
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

        let answer = deflate?.answer(to: offers)
        return .upgrade(
            Acceptance(
                key: key, subprotocol: subprotocol.flatMap { asked.contains($0) ? $0 : nil },
                extensions: answer?.response, deflate: answer?.agreed))
    }
}

extension UpgradeRequest.Rejection {
    fileprivate static let method = Self(
        status: 405, reason: "a WebSocket is opened with GET", headerLines: "Allow: GET\r\n")
    // RFC 9110 §15.5.22 and §7.8: 426 names the protocol in Upgrade, which Connection lists.
    fileprivate static let notUpgrade = Self(
        status: 426, reason: "this address speaks WebSocket only",
        headerLines: "Upgrade: websocket\r\nConnection: Upgrade\r\n")
    // RFC 6455 §4.4.
    fileprivate static let version = Self(
        status: 426, reason: "WebSocket version 13 is required",
        headerLines: "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n")
    fileprivate static func bad(_ reason: String) -> Self { Self(status: 400, reason: reason, headerLines: "") }
}
