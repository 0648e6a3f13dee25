/// The head of a request: request line and fields (RFC 9112 §3, §5), as ranges into the bytes it was parsed from.
///
/// Fed all that was received of the head so far, again and again until it is whole; what was scanned is not scanned
/// again, so a head that drips in costs O(n). The bytes stay with the caller and must begin at the same place in each
/// call. Reused by `reset()`, after which parsing a head no larger allocates nothing.
///
/// Whatever two readers could understand differently is refused. Beyond the rules of the RFCs:
/// - one empty line before the request line is skipped (RFC 9112 §2.2), a second one is refused;
/// - an absolute target must name the same authority as Host;
/// - a Host value must not be empty. HTTP/1.0 may leave the field out, and `authority` is then empty.
public struct RequestHead: Sendable {
    public internal(set) var method = Method.other
    public internal(set) var methodRange = 0..<0
    /// The request target as it came.
    public internal(set) var target = 0..<0
    public internal(set) var targetForm = TargetForm.origin
    /// The target without its query, for logs; of an absolute target the path in it. May be empty.
    public internal(set) var path = 0..<0
    /// The value of Host, or the authority in the target where HTTP/1.0 sent no Host. `Authority` reads it.
    public internal(set) var authority = 0..<0
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    public internal(set) var minorVersion: UInt8 = 1
    public internal(set) var framing = BodyFraming.none
    /// The client expects the connection to stay open after the response (RFC 9112 §9.3).
    public internal(set) var isPersistent = false
    /// The client waits for a 100 before it sends the body (RFC 9110 §10.1.1).
    public internal(set) var expectsContinue = false
    /// A GET of HTTP/1.1 whose Connection and Upgrade ask for WebSocket, alone or among others; its other fields have
    /// not been looked at (RFC 6455 §4.2.1). Every other upgrade, h2c above all, is a field of this hop that is dropped:
    /// the request is an ordinary one.
    public internal(set) var isWebSocketUpgrade = false
    /// It names a login that holds for the connection it goes out on (NTLM, Negotiate, Kerberos), so no other client's
    /// request may follow on that one.
    public internal(set) var bindsConnection = false
    /// What an extended CONNECT of HTTP/2 asks for (RFC 8441 §4); empty for every other request. One that asks for WebSocket
    /// is the GET that it is in HTTP/1.1, with `isWebSocketUpgrade`, but has no Sec-WebSocket-Key.
    public internal(set) var connectProtocol = 0..<0
    /// The Sec-WebSocket-Key of ours that a WebSocket request of HTTP/2, which has none, goes to the upstream with: 16 random
    /// bytes in base64.
    package var webSocketKey: [UInt8] = []
    /// The Upgrade of a WebSocket request names nothing else, so its line can be passed on as it is.
    var namesOnlyWebSocket = false

    /// All fields in the order they came.
    public var fields: [Field] { section.fields }
    /// The bytes of the whole head, its final empty line included; `nil` as long as it is not whole.
    public var size: Int? { phase == .done ? section.lines.position : nil }

    var section = FieldSection()
    /// Path and query for the upstream: the target, less the scheme and authority of an absolute one.
    var pathAndQuery = 0..<0
    var phase = Phase.start

    enum Phase { case start, afterEmptyLine, fields, done, failed }

    public init() {}

    /// An empty one in the memory of another's fields.
    init(storage: consuming [Field]) { section = FieldSection(storage: storage) }

    /// Forgets the head and keeps the storage. To give that back as well, assign a new head.
    public mutating func reset() {
        section.reset()
        let storage = section
        self = RequestHead()
        section = storage
    }

    /// Whether one of the fields has one of these names.
    package func holds(anyOf names: FieldNames) -> Bool { section.names.overlaps(names) }

    /// The first field with that name.
    public func first(_ id: FieldName) -> Field? { section.first(id) }
}

/// The four shapes of a request target (RFC 9112 §3.2).
public enum TargetForm: Sendable, Equatable {
    /// `/path?query`
    case origin
    /// `http://host/path?query`
    case absolute
    /// `host:port`, for CONNECT.
    case authority
    /// `*`, for OPTIONS.
    case asterisk
}
