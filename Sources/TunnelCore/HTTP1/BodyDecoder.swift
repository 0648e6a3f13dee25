/// Finds the end of a message's body and takes the chunked coding off it (RFC 9112 §6, §7.1), in place.
///
/// Fed whatever arrives, in pieces of any size. Allocates only for trailers.
public struct BodyDecoder: Sendable {
    /// Bytes of chunk extensions in one chunk header. We know no extension and drop them all.
    public static let maxExtensionBytesPerChunk = 256
    /// Bytes of chunk extensions in one body.
    public static let maxExtensionBytes = 16_384
    /// Digits of a chunk size, leading zeros included.
    public static let maxSizeDigits = 16

    private enum State: Equatable {
        case length, untilClose
        case firstDigit, digits
        case extensions(ChunkExtension)
        case sizeLineFeed
        case data, dataCarriageReturn, dataLineFeed
        case trailerStart, trailerLine, trailerLineFeed, endLineFeed
        case complete, failed
    }

    private var state: State
    /// Bytes of the body, or of the chunk, that have not come yet.
    private var remaining: UInt64 = 0
    private var digits = 0
    private var extensionBytes = 0
    private var chunkExtensionBytes = 0
    private var trailerSection: TrailerSection

    /// - Parameter framing: of the head that announced the body.
    /// - Parameter trailerLimits: for the trailer section of a chunked body.
    public init(_ framing: BodyFraming, trailerLimits: HeadLimits = HeadLimits()) {
        trailerSection = TrailerSection(limits: trailerLimits)
        switch framing {
        case .none, .length(0): state = .complete
        case .length(let length): (state, remaining) = (.length, length)
        case .chunked: state = .firstDigit
        case .untilClose: state = .untilClose
        }
    }

    /// The whole body has been decoded; further bytes belong to the next message.
    public var isComplete: Bool { state == .complete }

    /// Bytes of payload that the head or the last chunk's header has announced and that have not come yet.
    package var announced: UInt64 { state == .length || state == .data ? remaining : 0 }

    /// The trailer fields, once the body is complete: lines `name: value` with their CRLF, byte for byte. Those that a
    /// trailer must not change (RFC 9110 §6.5.1) and hop-by-hop ones are left out.
    public var trailers: [UInt8] { isComplete ? trailerSection.lines : [] }

    /// Decodes as much of the body as `bytes` holds.
    ///
    /// - Parameter bytes: what has arrived and was not yet consumed. Afterwards its first `produced` bytes are payload,
    ///   and those from `consumed` on are untouched; only a chunked body is moved at all.
    /// - Returns: the bytes used, which are all of them unless the body is complete, and the bytes of payload.
    /// - Throws: 400 for a malformed chunk or trailer field, 431 for trailers above their limits.
    public mutating func decode(
        inPlace bytes: inout MutableSpan<UInt8>
    ) throws(HTTPError) -> (consumed: Int, produced: Int) {
        try bytes.withUnsafeMutableBytes { bytes throws(HTTPError) in try decode(inPlace: bytes) }
    }

    /// See the other form.
    package mutating func decode(
        inPlace bytes: UnsafeMutableRawBufferPointer
    ) throws(HTTPError) -> (consumed: Int, produced: Int) {
        switch state {
        case .complete: return (0, 0)
        case .untilClose: return (bytes.count, bytes.count)
        case .length:
            let count = Int(min(remaining, UInt64(bytes.count)))
            remaining -= UInt64(count)
            if remaining == 0 { state = .complete }
            return (count, count)
        default: return try decodeChunks(bytes)
        }
    }

    /// The connection ended where the next byte of the body would have been.
    ///
    /// - Throws: 400 unless the body is complete or ends with the connection.
    public mutating func endOfInput() throws(HTTPError) {
        switch state {
        case .complete: break
        case .untilClose: state = .complete
        default:
            state = .failed
            throw .badMessage("body cut short (RFC 9112 8)")
        }
    }

    private mutating func decodeChunks(
        _ bytes: UnsafeMutableRawBufferPointer
    ) throws(HTTPError) -> (consumed: Int, produced: Int) {
        guard let base = bytes.baseAddress else { return (0, 0) }
        var read = 0
        var written = 0
        while read < bytes.count, state != .complete {
            if state == .data {
                let count = Int(min(remaining, UInt64(bytes.count - read)))
                // SAFETY: both runs lie within `bytes`, for written <= read; copyMemory allows them to overlap.
                if read != written { (base + written).copyMemory(from: base + read, byteCount: count) }
                read += count
                written += count
                remaining -= UInt64(count)
                if remaining == 0 { state = .dataCarriageReturn }
            } else {
                let current = state
                state = .failed
                state = try step(current, bytes[read])
                read += 1
            }
        }
        return (read, written)
    }

    /// Takes one byte that is not payload and returns the state after it.
    private mutating func step(_ state: State, _ byte: UInt8) throws(HTTPError) -> State {
        switch state {
        case .firstDigit:
            (remaining, digits, chunkExtensionBytes) = (0, 0, 0)
            guard byte.hexDigit != nil else { throw .badMessage("chunk without a size (RFC 9112 7.1)") }
            return try takeDigit(byte)
        case .digits: return try takeDigit(byte)
        case .extensions(let part): return try takeExtension(byte, part)
        case .sizeLineFeed:
            try expect(HTTPByte.lineFeed, byte)
            return remaining == 0 ? .trailerStart : .data
        case .dataCarriageReturn:
            try expect(HTTPByte.carriageReturn, byte)
            return .dataLineFeed
        case .dataLineFeed:
            try expect(HTTPByte.lineFeed, byte)
            return .firstDigit
        case .trailerStart where byte == HTTPByte.carriageReturn: return .endLineFeed
        case .trailerLine where byte == HTTPByte.carriageReturn: return .trailerLineFeed
        case .trailerStart, .trailerLine:
            try trailerSection.append(byte)
            return .trailerLine
        case .trailerLineFeed:
            try expect(HTTPByte.lineFeed, byte)
            try trailerSection.endLine()
            return .trailerStart
        case .endLineFeed:
            try expect(HTTPByte.lineFeed, byte)
            return .complete
        case .length, .untilClose, .data, .complete, .failed: throw .badMessage("body already refused")
        }
    }

    /// `chunk-size [ chunk-ext ] CRLF`; white space may follow the size only where an extension follows.
    private mutating func takeDigit(_ byte: UInt8) throws(HTTPError) -> State {
        if let digit = byte.hexDigit {
            digits += 1
            guard digits <= Self.maxSizeDigits, remaining <= UInt64(Int64.max) >> 4 else {
                throw .badMessage("chunk size too large (RFC 9112 7.1)")
            }
            remaining = remaining << 4 | UInt64(digit)
            return .digits
        }
        if byte == HTTPByte.carriageReturn { return .sizeLineFeed }
        guard byte == HTTPByte.semicolon || byte == HTTPByte.space || byte == HTTPByte.tab else {
            throw .badMessage("malformed chunk size (RFC 9112 7.1)")
        }
        return try takeExtension(byte, .gap)
    }

    private mutating func takeExtension(_ byte: UInt8, _ part: ChunkExtension) throws(HTTPError) -> State {
        if byte == HTTPByte.carriageReturn {
            guard part.mayEnd else { throw .badMessage("chunk extension cut short (RFC 9112 7.1.1)") }
            return .sizeLineFeed
        }
        guard byte >= 0x20 || byte == HTTPByte.tab, byte != HTTPByte.delete else {
            throw .badMessage("control byte in a chunk extension (RFC 9112 7.1.1)")
        }
        chunkExtensionBytes += 1
        extensionBytes += 1
        guard chunkExtensionBytes <= Self.maxExtensionBytesPerChunk, extensionBytes <= Self.maxExtensionBytes else {
            throw .badMessage("chunk extensions too large (RFC 9112 7.1.1)")
        }
        guard let next = part.next(byte) else { throw .badMessage("malformed chunk extension (RFC 9112 7.1.1)") }
        return .extensions(next)
    }

    private func expect(_ expected: UInt8, _ byte: UInt8) throws(HTTPError) {
        guard byte == expected else { throw .badMessage("chunk or line without its CRLF (RFC 9112 7.1)") }
    }
}
