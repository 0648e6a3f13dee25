/// The trailer section of a chunked body (RFC 9112 §7.1.2), taken byte by byte and kept as far as it may be passed on.
struct TrailerSection: Sendable {
    /// The lines kept so far, each with its CRLF, and the line being read.
    private(set) var lines: [UInt8] = []
    private let limits: HeadLimits
    private var lineStart = 0
    /// Bytes and fields that have come, kept or not.
    private var bytes = 0
    private var fields = 0

    init(limits: HeadLimits) { self.limits = limits }

    /// One byte of a line.
    mutating func append(_ byte: UInt8) throws(HTTPError) {
        guard byte >= 0x20 || byte == HTTPByte.tab, byte != HTTPByte.delete else {
            throw .badMessage("control byte in a trailer field (RFC 9110 5.5)")
        }
        try count(1)
        lines.append(byte)
    }

    /// The line is whole.
    mutating func endLine() throws(HTTPError) {
        try count(2)
        fields += 1
        guard fields <= limits.maxFields else { throw .tooLarge("over \(limits.maxFields) trailer fields") }
        let field = try Field(line: lineStart..<lines.count, in: lines.span)
        if HopByHop.isHopByHop(field.id) || TrailerSection.isForbidden(lines[field.name]) {
            lines.removeLast(lines.count - lineStart)
        } else {
            lines.append(HTTPByte.carriageReturn)
            lines.append(HTTPByte.lineFeed)
        }
        lineStart = lines.count
    }

    private mutating func count(_ more: Int) throws(HTTPError) {
        bytes += more
        guard bytes <= limits.byteLimit else { throw .tooLarge("trailers over \(limits.maxBytes) bytes") }
    }

    /// Fields that mean something only ahead of the body: framing, routing, request modifiers, authentication, response
    /// control and the form of the content (RFC 9110 §6.5.1). A recipient that merged one of these would be misled.
    private static func isForbidden(_ name: ArraySlice<UInt8>) -> Bool {
        switch String(decoding: name, as: UTF8.self).lowercased() {
        case "content-length", "host", "trailer", "expect", "max-forwards", "via",
            "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
            "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "range",
            "authorization", "www-authenticate", "authentication-info", "cookie", "set-cookie",
            "age", "cache-control", "date", "expires", "location", "pragma", "retry-after", "vary", "warning",
            "content-encoding", "content-range", "content-type":
            true
        default: false
        }
    }
}
