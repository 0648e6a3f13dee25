/// The head of a response: status line and fields (RFC 9112 §4, §5), as ranges into the bytes it was parsed from.
///
/// Fed and reused like `RequestHead`. A refused response is our 502, whatever status the error names. Beyond the RFCs:
/// - the space after the status may be missing if there is no reason phrase, as many servers have it;
/// - a 1xx or 204 with Transfer-Encoding or a Content-Length other than 0 is refused: it has no body, and a server that
///   announces one may send it.
public struct ResponseHead: Sendable {
    /// 100...599.
    public internal(set) var status: UInt16 = 0
    /// The reason phrase; may be empty.
    public internal(set) var reason = 0..<0
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    public internal(set) var minorVersion: UInt8 = 1
    /// How the body ends, in view of the request's method (RFC 9112 §6.3).
    public internal(set) var framing = BodyFraming.none
    /// The server leaves the connection open for another request (RFC 9112 §9.3).
    public internal(set) var isPersistent = false
    /// The body is a `text/event-stream`: each piece is to be passed on at once.
    public internal(set) var isEventStream = false
    /// A 101 whose one Upgrade names exactly `websocket` and whose Connection names Upgrade (RFC 6455 §4.1). No other
    /// 101 answers a request of ours.
    public internal(set) var switchesToWebSocket = false
    /// The seconds of `Keep-Alive: timeout=N`, after which the server closes an idle connection; `nil` if it says none.
    public internal(set) var keepAliveTimeout: Int?
    /// It names a login that holds for the connection it came on (NTLM, Negotiate, Kerberos, `Persistent-Auth`), so no
    /// other client's request may follow on that one.
    public internal(set) var bindsConnection = false

    /// Another head follows for the same request. Not so for 101, the last HTTP on its connection.
    public var isInformational: Bool { status < 200 && status != 101 }

    /// All fields in the order they came.
    public var fields: [Field] { section.fields }
    /// The bytes of the whole head, its final empty line included; `nil` as long as it is not whole.
    public var size: Int? { phase == .done ? section.lines.position : nil }

    var section = FieldSection()
    var phase = Phase.start

    enum Phase { case start, fields, done, failed }

    public init() {}

    /// An empty one in the memory of another's fields.
    init(storage: consuming [Field]) { section = FieldSection(storage: storage) }

    /// Forgets the head and keeps the storage. To give that back as well, assign a new head.
    public mutating func reset() {
        section.reset()
        let storage = section
        self = ResponseHead()
        section = storage
    }

    /// The first field with that name.
    public func first(_ id: FieldName) -> Field? { section.first(id) }
}
