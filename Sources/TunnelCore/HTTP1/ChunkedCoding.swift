/// Writes the chunked transfer coding (RFC 9112 §7.1). A chunk is its header, the payload, and a CRLF.
public enum ChunkedCoding {
    /// The longest chunk header: 16 digits and CRLF.
    public static let maxHeaderSize = 18
    /// What follows the payload of each chunk.
    public static let payloadEnd: StaticString = "\r\n"

    /// Writes the header of a chunk directly in front of its payload.
    ///
    /// - Parameter size: bytes of payload. A size of 0 would end the body, so nothing is written for it.
    /// - Parameter end: where the payload begins; at least `maxHeaderSize` bytes before it are overwritten or left.
    /// - Returns: the bytes written.
    package static func writeHeader(size: Int, endingAt end: UnsafeMutableRawPointer) -> Int {
        guard size > 0 else { return 0 }
        // SAFETY: an Int has at most 16 hexadecimal digits, so the writes stay within maxHeaderSize bytes before `end`.
        (end - 1).storeBytes(of: HTTPByte.lineFeed, as: UInt8.self)
        (end - 2).storeBytes(of: HTTPByte.carriageReturn, as: UInt8.self)
        var written = 2
        var rest = size
        repeat {
            let digit = UInt8(truncatingIfNeeded: rest & 0xF)
            written += 1
            (end - written).storeBytes(of: digit < 10 ? 0x30 + digit : 0x37 + digit, as: UInt8.self)
            rest >>= 4
        } while rest > 0
        return written
    }

    /// Appends the header of a chunk of `size` bytes, or nothing if that is 0.
    public static func appendHeader(size: Int, into out: inout ByteBuffer) {
        _ = out.append(atMost: maxHeaderSize) { room in
            guard let start = room.baseAddress else { return 0 }
            let length = writeHeader(size: size, endingAt: start + maxHeaderSize)
            start.copyMemory(from: start + (maxHeaderSize - length), byteCount: length)
            return length
        }
    }

    /// Appends one whole chunk, or nothing if `payload` is empty.
    public static func appendChunk(_ payload: Span<UInt8>, into out: inout ByteBuffer) {
        guard !payload.isEmpty else { return }
        appendHeader(size: payload.count, into: &out)
        out.append(payload)
        out.append(payloadEnd)
    }

    /// Appends the last chunk and the trailer section.
    ///
    /// - Parameter trailers: field lines, each with its CRLF, as `BodyDecoder.trailers` has them.
    public static func appendEnd(trailers: [UInt8] = [], into out: inout ByteBuffer) {
        out.append("0\r\n")
        out.append(trailers)
        out.append("\r\n")
    }
}

/// Where in the extensions of a chunk the decoder is:
/// `*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )`, RFC 9112 §7.1.1.
///
/// They mean nothing to us and are dropped, but a reader that took `5;a="` for a line that goes on, where another one
/// ends it, would cut the body elsewhere.
enum ChunkExtension {
    /// White space, then ";".
    case gap
    /// Behind ";", perhaps in white space.
    case beforeName
    case name
    /// White space behind a name: "=" or ";" follows.
    case afterName
    /// Behind "=", perhaps in white space.
    case beforeValue
    case value
    case quoted, quotedPair
    /// Behind the closing quote.
    case afterQuoted

    /// The line may end here.
    var mayEnd: Bool { self == .name || self == .value || self == .afterQuoted }

    /// The part that `byte`, which is no control byte but perhaps HTAB, leads to; `nil` if it may not stand here.
    func next(_ byte: UInt8) -> ChunkExtension? {
        let isSpace = byte == HTTPByte.space || byte == HTTPByte.tab
        switch self {
        case .quoted: return byte == HTTPByte.quote ? .afterQuoted : byte == HTTPByte.backslash ? .quotedPair : .quoted
        case .quotedPair: return .quoted
        case .beforeName where isSpace, .beforeValue where isSpace: return self
        case .beforeName: return HTTPByteSet.token.contains(byte) ? .name : nil
        case .beforeValue where byte == HTTPByte.quote: return .quoted
        case .beforeValue: return HTTPByteSet.token.contains(byte) ? .value : nil
        case .name where HTTPByteSet.token.contains(byte), .value where HTTPByteSet.token.contains(byte): return self
        case .name where byte == HTTPByte.equals, .afterName where byte == HTTPByte.equals: return .beforeValue
        case .name where isSpace, .afterName where isSpace: return .afterName
        case .gap, .name, .afterName, .value, .afterQuoted:
            return byte == HTTPByte.semicolon ? .beforeName : isSpace ? .gap : nil
        }
    }
}

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
        if TrailerSection.isForbidden(field, in: lines.span) {
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
    static func isForbidden(_ field: Field, in bytes: Span<UInt8>) -> Bool {
        if HopByHop.isHopByHop(field.id) { return true }
        let name = bytes.extracting(field.name).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        return switch name.lowercased() {
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
