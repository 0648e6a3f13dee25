internal import TunnelCore

/// The names of one request, copied out of its head for the lines of the log: its number, method, host and path, and what
/// MCP's fields say of it.
struct RequestLabels: ~Copyable {
    private var bytes = ByteBuffer()
    private var idEnd = 0
    private var methodEnd = 0
    private var hostEnd = 0
    private var pathEnd = 0
    // Empty where the field is not there.
    private var mcpMethod = 0..<0
    private var mcpName = 0..<0
    private var mcpVersion = 0..<0
    private var requestID = 0..<0
    /// Of `Mcp-Session-Id`; see ``SessionHashes``.
    private(set) var session: UInt64?

    /// What a log value may be long.
    private static let maxValue = LogLine.maxValueBytes + 1
    /// Memory that is kept for the next request.
    private static let maxKept = 512

    private static var mcpNames: FieldNames {
        FieldNames().with(.mcpMethod).with(.mcpName).with(.mcpProtocolVersion).with(.mcpSessionID)
    }

    mutating func take(
        connection: UInt64, request: UInt64, _ head: RequestHead, of bytes: Span<UInt8>,
        _ sessions: inout SessionHashes
    ) {
        self.bytes.removeAll()
        self.bytes.append(decimal: connection)
        self.bytes.append(UInt8(ascii: "-"))
        self.bytes.append(decimal: request)
        idEnd = self.bytes.count
        self.bytes.append(bytes.extracting(head.methodRange))
        methodEnd = self.bytes.count
        self.bytes.append(bytes.extracting(head.authority))
        hostEnd = self.bytes.count
        self.bytes.append(bytes.extracting(head.path.prefix(RequestLabels.maxValue)))
        pathEnd = self.bytes.count
        (mcpMethod, mcpName, mcpVersion, requestID, session) = (0..<0, 0..<0, 0..<0, 0..<0, nil)
        if head.holds(anyOf: RequestLabels.mcpNames) { takeMCP(head, bytes, &sessions) }
    }

    /// In one walk over the fields. Of a name that is there twice the first counts; MCP servers refuse that.
    @inline(never)
    private mutating func takeMCP(_ head: RequestHead, _ bytes: Span<UInt8>, _ sessions: inout SessionHashes) {
        for field in head.fields {
            switch field.id {
            case .mcpMethod where mcpMethod.isEmpty: mcpMethod = keep(bytes.extracting(field.value))
            case .mcpProtocolVersion where mcpVersion.isEmpty: mcpVersion = keep(bytes.extracting(field.value))
            case .mcpSessionID where session == nil: session = sessions.hash(of: bytes.extracting(field.value))
            case .mcpName where mcpName.isEmpty:
                if let payload = EncodedFieldValue.payload(of: field.value, in: bytes),
                    let name = EncodedFieldValue.decode(payload, in: bytes, limit: RequestLabels.maxValue)
                {
                    mcpName = keepName(name.span)
                } else {
                    mcpName = keepName(bytes.extracting(field.value))
                }
            default: break
            }
        }
    }

    // MARK: What comes later

    var hasMCPMethod: Bool { !mcpMethod.isEmpty }

    /// What was found in the body, where no field says it.
    mutating func take(_ scanner: borrowing JSONRPCScanner) {
        guard mcpMethod.isEmpty, scanner.hasMethod else { return }
        scanner.withMethod { mcpMethod = keep($0) }
        scanner.withName { mcpName = keepName($0) }
    }

    /// The session that a response begins.
    mutating func takeSession(_ id: Span<UInt8>, _ sessions: inout SessionHashes) {
        if session == nil { session = sessions.hash(of: id) }
    }

    var requestIDText: String? {
        requestID.isEmpty
            ? nil : bytes.withBytes { $0.extracting(requestID).withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
    }

    mutating func takeRequestID(_ id: Span<UInt8>) { requestID = keep(id) }

    private mutating func keep(_ value: Span<UInt8>) -> Range<Int> {
        let start = bytes.count
        bytes.append(value.extracting(0..<min(value.count, RequestLabels.maxValue)))
        return start..<bytes.count
    }

    /// The name of a tool or prompt; or the URI of a resource, without user, query and fragment, which may be secret.
    private mutating func keepName(_ value: Span<UInt8>) -> Range<Int> {
        guard let parts = ResourceName.shown(value) else { return keep(value) }
        let start = bytes.count
        for part in [parts.scheme, parts.rest] { _ = keep(value.extracting(part)) }
        return start..<min(bytes.count, start + RequestLabels.maxValue)
    }

    // MARK: Lines

    /// Writes the names as fields.
    func write(to line: inout LogLine) {
        bytes.withBytes { bytes in
            line.field("method", bytes.extracting(idEnd..<methodEnd))
            line.field("host", bytes.extracting(methodEnd..<hostEnd))
            line.field("path", bytes.extracting(hostEnd..<pathEnd))
            if !mcpMethod.isEmpty { line.field("mcp_method", bytes.extracting(mcpMethod)) }
            if !mcpName.isEmpty { line.field("mcp_name", bytes.extracting(mcpName)) }
        }
    }

    /// Writes what else the last line of a request has.
    func writeRest(to line: inout LogLine) {
        if !mcpVersion.isEmpty { bytes.withBytes { line.field("mcp_version", $0.extracting(mcpVersion)) } }
        if let session { line.field("mcp_session", HexText(session)) }
        if !requestID.isEmpty { bytes.withBytes { line.field("request_id", $0.extracting(requestID)) } }
    }

    /// Copies the names into an entry, as many bytes as that has room for.
    func write(to entry: inout RecentExchanges.Entry) {
        let count = min(pathEnd, RecentExchanges.Entry.room)
        func end(_ place: Int) -> UInt8 { UInt8(min(place, count)) }
        entry.ends = (end(idEnd), end(methodEnd), end(hostEnd), end(count))
        var room = entry.text.mutableSpan
        bytes.withBytes { bytes in
            bytes.withUnsafeBytes { source in
                room.withUnsafeMutableBytes { $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<count])) }
            }
        }
    }

    /// `connection-request`, for finding the lines of one exchange.
    func writeID(to line: inout LogLine) {
        bytes.withBytes { line.field("id", $0.extracting(0..<idEnd)) }
    }

    func writeHost(to line: inout LogLine) {
        bytes.withBytes { line.field("host", $0.extracting(methodEnd..<hostEnd)) }
    }

    // MARK: Spans

    func withID(_ body: (Span<UInt8>) -> Void) { withRange(0..<idEnd, body) }
    func withMethod(_ body: (Span<UInt8>) -> Void) { withRange(idEnd..<methodEnd, body) }
    func withHost(_ body: (Span<UInt8>) -> Void) { withRange(methodEnd..<hostEnd, body) }
    func withPath(_ body: (Span<UInt8>) -> Void) { withRange(hostEnd..<pathEnd, body) }
    /// Not called where it is not known, as with the next two.
    func withMCPMethod(_ body: (Span<UInt8>) -> Void) { withRange(mcpMethod, body) }
    func withMCPName(_ body: (Span<UInt8>) -> Void) { withRange(mcpName, body) }
    func withMCPVersion(_ body: (Span<UInt8>) -> Void) { withRange(mcpVersion, body) }

    private func withRange(_ range: Range<Int>, _ body: (Span<UInt8>) -> Void) {
        if !range.isEmpty { bytes.withBytes { body($0.extracting(range)) } }
    }

    /// Gives back what long values needed.
    mutating func release() { if bytes.capacity > RequestLabels.maxKept { bytes.release() } }
}

/// The name of a tool, prompt or resource as a log shows it.
enum ResourceName {
    /// The parts of a URI that are shown: up to the `://`, and from behind the user to before the query.
    ///
    /// - Returns: `nil` for what is no such URI, and is shown as it is.
    static func shown(_ value: Span<UInt8>) -> (scheme: Range<Int>, rest: Range<Int>)? {
        var start = 0
        while start + 3 <= value.count {
            if value[start] == 0x3A, value[start + 1] == 0x2F, value[start + 2] == 0x2F { break }
            start += 1
        }
        guard start + 3 <= value.count else { return nil }
        start += 3
        var (rest, end) = (start, start)
        var isInAuthority = true
        while end < value.count, value[end] != 0x3F, value[end] != 0x23 {
            if value[end] == 0x2F { isInAuthority = false }
            if isInAuthority, value[end] == 0x40 { rest = end + 1 }
            end += 1
        }
        return (0..<start, rest..<end)
    }
}
