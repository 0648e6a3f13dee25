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
    public private(set) var method = Method.other
    public private(set) var methodRange = 0..<0
    /// The request target as it came.
    public private(set) var target = 0..<0
    public private(set) var targetForm = TargetForm.origin
    /// The target without its query, for logs; of an absolute target the path in it. May be empty.
    public private(set) var path = 0..<0
    /// The value of Host, or the authority in the target where HTTP/1.0 sent no Host. `Authority` reads it.
    public private(set) var authority = 0..<0
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    public private(set) var minorVersion: UInt8 = 1
    public private(set) var framing = BodyFraming.none
    /// The client expects the connection to stay open after the answer (RFC 9112 §9.3).
    public private(set) var isPersistent = false
    /// The client waits for a 100 before it sends the body (RFC 9110 §10.1.1).
    public private(set) var expectsContinue = false
    /// A GET of HTTP/1.1 whose Connection and Upgrade ask for WebSocket, alone or among others; its other fields have
    /// not been looked at (RFC 6455 §4.2.1). Every other upgrade, h2c above all, is a field of this hop that is dropped:
    /// the request is an ordinary one.
    public private(set) var isWebSocketUpgrade = false
    /// The Upgrade of a WebSocket request names nothing else, so its line can be passed on as it is.
    private(set) var namesOnlyWebSocket = false

    /// All fields in the order they came.
    public var fields: [Field] { section.fields }
    /// The bytes of the whole head, its final empty line included; `nil` as long as it is not whole.
    public var size: Int? { phase == .done ? section.lines.position : nil }

    private(set) var section = FieldSection()
    /// Path and query for the upstream: the target, less the scheme and authority of an absolute one.
    private(set) var pathAndQuery = 0..<0
    private var phase = Phase.start

    private enum Phase { case start, afterEmptyLine, fields, done, failed }

    public init() {}

    /// Forgets the head and keeps the storage. To give that back as well, assign a new head.
    public mutating func reset() {
        section.reset()
        let storage = section
        self = RequestHead()
        section = storage
    }

    /// Parses the head at the front of `bytes`.
    ///
    /// - Parameter bytes: everything received from the first byte of the head on; more may follow it.
    /// - Returns: the bytes of the whole head, its final empty line included, or `nil` if more are needed.
    /// - Throws: 400 for a malformed or ambiguous head, 431 above a limit as soon as that is known, 505 for a version
    ///   other than 1.0 and 1.1. The head is of no use afterwards, until `reset()`.
    public mutating func parse(_ bytes: Span<UInt8>, limits: HeadLimits = HeadLimits()) throws(HTTPError) -> Int? {
        let resumed = phase
        phase = .failed
        switch resumed {
        case .failed: throw .badMessage("head already refused")
        case .done:
            phase = .done
            return section.lines.position
        case .start, .afterEmptyLine:
            guard let line = try section.lines.next(in: bytes, limit: limits.byteLimit) else {
                phase = resumed
                return nil
            }
            if line.isEmpty {
                guard resumed == .start else { throw .badMessage("empty lines before a request (RFC 9112 2.2)") }
                phase = .afterEmptyLine
                return try parse(bytes, limits: limits)
            }
            try parseRequestLine(line, bytes)
            section.begin()
        case .fields: break
        }
        guard try section.read(bytes, limits) else {
            phase = .fields
            return nil
        }
        try interpretFields(bytes)
        phase = .done
        return section.lines.position
    }

    /// The first field with that name.
    public func first(_ id: FieldName) -> Field? { section.first(id) }

    /// `method SP request-target SP HTTP-version`, with exactly these two spaces (RFC 9112 §3).
    private mutating func parseRequestLine(_ line: Range<Int>, _ bytes: Span<UInt8>) throws(HTTPError) {
        var i = line.lowerBound
        while i < line.upperBound, HTTPByteSet.token.contains(bytes[i]) { i += 1 }
        guard i > line.lowerBound, i < line.upperBound, bytes[i] == HTTPByte.space else {
            throw .badMessage("invalid method (RFC 9112 3.1)")
        }
        methodRange = line.lowerBound..<i
        method = Method(methodRange, in: bytes)

        let targetStart = i + 1
        i = targetStart
        while i < line.upperBound, bytes[i] != HTTPByte.space { i += 1 }
        guard i < line.upperBound else { throw .badMessage("request line without a version (RFC 9112 3)") }
        target = targetStart..<i
        minorVersion = try HTTPVersion.minor(i + 1..<line.upperBound, bytes)

        let parts = try RequestTarget(target, method, in: bytes)
        (targetForm, path, pathAndQuery) = (parts.form, parts.path, parts.pathAndQuery)
        authority = parts.authority ?? target.upperBound..<target.upperBound
    }

    private mutating func interpretFields(_ bytes: Span<UInt8>) throws(HTTPError) {
        let options = try section.markHopByHop(bytes)
        let framing = try FramingFields(section.fields, bytes, minorVersion: minorVersion)
        self.framing = framing.isChunked ? .chunked : framing.length.map { .length($0) } ?? .none
        isPersistent = options.isPersistent(minorVersion: minorVersion)
        try interpretHost(bytes)
        guard minorVersion > 0 else { return }
        expectsContinue =
            !self.framing.isEmpty
            && section.first(.expect).map { bytes.matches($0.value, ignoringCase: "100-continue") } ?? false
        if options.upgrades { try interpretUpgrade(bytes) }
    }

    private mutating func interpretHost(_ bytes: Span<UInt8>) throws(HTTPError) {
        var host: Range<Int>?
        for field in section.fields where field.id == .host {
            guard host == nil else { throw .badMessage("several Host (RFC 9112 3.2)") }
            host = field.value
        }
        guard let host else {
            guard minorVersion == 0 else { throw .badMessage("no Host (RFC 9112 3.2)") }
            return
        }
        guard Authority.isValid(bytes.extracting(host)) else { throw .badMessage("invalid Host (RFC 9112 3.2)") }
        if targetForm == .absolute, !bytes.equals(host, ignoringCase: authority) {
            throw .badMessage("target and Host differ (RFC 9112 3.2.2)")
        }
        authority = host
    }

    /// `1#( protocol-name [ "/" protocol-version ] )` (RFC 9110 §7.8), in one field.
    private mutating func interpretUpgrade(_ bytes: Span<UInt8>) throws(HTTPError) {
        var value: Range<Int>?
        for field in section.fields where field.id == .upgrade {
            guard value == nil else { throw .badMessage("several Upgrade (RFC 9110 7.8)") }
            value = field.value
        }
        guard let value else { return }
        var list = TokenList(value)
        var isWebSocket = false
        while let element = list.next(in: bytes) {
            var slash = element.lowerBound
            while slash < element.upperBound, bytes[slash] != HTTPByte.slash { slash += 1 }
            let version = slash < element.upperBound ? slash + 1..<element.upperBound : element
            guard bytes.holdsOnly(.token, in: element.lowerBound..<slash), bytes.holdsOnly(.token, in: version) else {
                throw .badMessage("invalid Upgrade (RFC 9110 7.8)")
            }
            isWebSocket = isWebSocket || bytes.matches(element, ignoringCase: "websocket")
        }
        isWebSocketUpgrade = isWebSocket && method == .get
        namesOnlyWebSocket = bytes.matches(value, ignoringCase: "websocket")
    }
}

/// `HTTP-version` (RFC 9112 §2.3).
enum HTTPVersion {
    /// - Returns: the minor version of HTTP/1.0 or HTTP/1.1.
    /// - Throws: 400 if there is no version, 505 for any other.
    static func minor(_ range: Range<Int>, _ bytes: Span<UInt8>) throws(HTTPError) -> UInt8 {
        if bytes.matches(range, "HTTP/1.1") { return 1 }
        if bytes.matches(range, "HTTP/1.0") { return 0 }
        guard range.count == 8, bytes.matches(range.prefix(5), "HTTP/"),
            bytes[range.lowerBound + 5].decimalDigit != nil, bytes[range.lowerBound + 6] == 0x2E,
            bytes[range.lowerBound + 7].decimalDigit != nil
        else { throw .badMessage("malformed HTTP version (RFC 9112 2.3)") }
        throw .badVersion("HTTP version other than 1.0 and 1.1")
    }
}
