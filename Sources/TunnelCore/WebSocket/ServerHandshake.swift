/// The server's opening handshake (RFC 6455 §4.2): reads the request, makes the response. No I/O.
///
/// A value for one connection, fed all that was received so far until the request is whole:
///
///     var handshake = ServerHandshake(subprotocols: ["mcp"])
///     do throws(ServerHandshake.Refusal) {
///         guard let request = try handshake.check(received.span) else { return }  // more bytes are needed
///         request.appendResponse(into: &output)
///         received.removeFirst(request.consumed)  // what is left are frames
///     } catch {
///         error.appendResponse(into: &output)  // send it, then close
///     }
///
/// Path, host and origin are the program's to judge, between `check` and the response: a ``Refusal`` of its own says no.
public struct ServerHandshake: Sendable {
    /// Bytes of the longest request head that is read, unless other limits are given.
    public static let maxRequestHead = 16_384

    private let subprotocols: [String]
    private let deflate: DeflateParameters?
    private let limits: HeadLimits
    private var head = RequestHead()

    /// - Parameter subprotocols: those we speak, in our order of preference. A client that asks for none of them gets a
    ///   connection without one, which it may close.
    /// - Parameter deflate: what compression to agree to; `nil` for none.
    /// - Parameter limits: what a client may spend on its request.
    public init(
        subprotocols: [String] = [], deflate: DeflateParameters? = nil,
        limits: HeadLimits = HeadLimits(maxBytes: ServerHandshake.maxRequestHead, maxFields: 200)
    ) {
        self.subprotocols = subprotocols
        self.deflate = deflate
        self.limits = limits
    }

    /// Reads the client's request at the front of `bytes` and judges it by §4.2.1.
    ///
    /// What was scanned is not scanned again, so a request that drips in costs no more than one that comes at once.
    ///
    /// - Parameter bytes: everything received so far; must begin at the same byte in each call.
    /// - Returns: `nil` if more bytes are needed.
    /// - Throws: 400 for a malformed request, 405 and 426 for one that opens no WebSocket, 431 above the limits as soon as
    ///   that is known, 505 for another version of HTTP. Of no use after that.
    public mutating func check(_ bytes: Span<UInt8>) throws(Refusal) -> Request? {
        let size: Int?
        do throws(HTTPError) {
            size = try head.parse(bytes, limits: limits)
        } catch {
            throw Refusal(status: error.status, reason: error.reason)
        }
        guard let size else { return nil }
        // What follows would be a body to one reader and frames to another.
        guard head.framing.isEmpty else {
            throw Refusal(status: 400, reason: "a request that opens a WebSocket has no body")
        }
        let request = UpgradeRequest(head, in: bytes)
        let asked = WebSocketGrammar.list(request.protocols)
        switch request.evaluate(subprotocol: subprotocols.first { asked.contains($0) }, deflate: deflate) {
        case .upgrade(let acceptance): return Request(head, in: bytes, consumed: size, acceptance)
        case .reject(let rejection):
            throw Refusal(
                status: UInt16(rejection.status), reason: rejection.reason, fields: rejection.fields,
                isHead: head.method == .head)
        }
    }

    /// A request that opens a WebSocket, and what was agreed.
    public struct Request: Sendable {
        /// Bytes of the head; frames follow behind it.
        public let consumed: Int
        /// Path and query, as they came.
        public let path: String
        /// The value of `Host`.
        public let host: String
        /// All fields in the order they came.
        public let fields: [(name: String, value: String)]
        private let acceptance: UpgradeRequest.Acceptance

        fileprivate init(
            _ head: RequestHead, in bytes: Span<UInt8>, consumed: Int, _ acceptance: UpgradeRequest.Acceptance
        ) {
            func text(_ range: Range<Int>) -> String {
                bytes.extracting(range).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
            }
            self.consumed = consumed
            self.acceptance = acceptance
            path = text(head.pathAndQuery)
            host = text(head.authority)
            fields = head.fields.map { (text($0.name), text($0.value)) }
        }

        /// The subprotocol that was agreed.
        public var subprotocol: String? { acceptance.subprotocol }
        /// The parameters of permessage-deflate, `nil` for a connection without it.
        public var deflate: DeflateParameters? { acceptance.deflate }

        /// The values of every field of that name, in order. Case does not matter.
        public func values(of name: String) -> [String] {
            let name = name.lowercased()
            return fields.filter { $0.name.lowercased() == name }.map(\.value)
        }

        /// Appends the response, a 101, after which frames may be sent.
        ///
        /// - Parameter fields: further fields, such as `Set-Cookie`. One that could not stand in a head is left out.
        public func appendResponse(fields: [(name: String, value: String)] = [], into buffer: inout ByteBuffer) {
            acceptance.appendResponse(fields: fields, into: &buffer)
        }
    }

    /// Why there is no WebSocket, and the response that says so.
    public struct Refusal: Error, Sendable, CustomStringConvertible {
        public let status: UInt16
        /// One line, for the response's body and the log. Ours hold nothing that the peer sent.
        public let reason: String
        /// What goes with the status, such as `WWW-Authenticate`. `Connection` is not among them: it follows from the rest.
        public let fields: [(name: String, value: String)]
        private let isHead: Bool

        /// A refusal of the program's own, such as 401, 403 or 404.
        ///
        /// - Parameter fields: one that could not stand in a head is left out of the response.
        public init(status: UInt16, reason: String, fields: [(name: String, value: String)] = []) {
            self.init(status: status, reason: reason, fields: fields, isHead: false)
        }

        fileprivate init(status: UInt16, reason: String, fields: [(name: String, value: String)], isHead: Bool) {
            self.status = status
            self.reason = reason
            self.fields = fields
            self.isHead = isHead
        }

        public var description: String { "handshake \(status): \(reason)" }

        /// Appends the response, after which the connection is to be closed.
        public func appendResponse(into buffer: inout ByteBuffer) {
            ErrorResponse.append(
                status: status, body: reason, extra: fields.filter(HTTPToken.isField), connectionClose: true,
                isHead: isHead, into: &buffer)
        }
    }
}
