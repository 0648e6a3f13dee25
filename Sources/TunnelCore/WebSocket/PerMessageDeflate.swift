/// Compression of messages (permessage-deflate, RFC 7692 §7.2), as one side of a connection does it.
///
/// Negotiation is `DeflateParameters`; framing is the caller's: it sets RSV1 on the first frame of a compressed message
/// and passes payloads here in order, one message after another. Messages may be passed in pieces of any size.
///
/// Memory: a compressor of 15 window bits takes about 256 KiB, a decompressor 40 KiB; each is made when it is first
/// used. After an error the connection is lost.
public struct PerMessageDeflate: ~Copyable, Sendable {
    /// The end of each message that is not sent: the empty stored block of a flush, without its first byte (§7.2.1).
    private static let tail: [UInt8] = [0x00, 0x00, 0xFF, 0xFF]

    private let level: Int
    private let memoryLevel: Int
    private let compressWindowBits: Int
    private let compressKeepsContext: Bool
    private let decompressWindowBits: Int
    private let decompressKeepsContext: Bool

    private var deflater: Deflater?
    private var inflater: Inflater?
    /// Whether the compressor holds input of a message not yet ended.
    private var isCompressing = false
    /// Bytes produced of the message that is being decompressed; `nil` between messages.
    private var produced: Int?
    /// Bytes of the tail that zlib has taken for the message that is being decompressed.
    private var tailTaken = 0

    /// - Parameter role: our own role.
    /// - Parameter parameters: what was agreed with the peer.
    /// - Parameter level: 0...9, or -1 for zlib's default.
    /// - Parameter memoryLevel: 1...9; zlib's default is 8.
    public init(role: WebSocketRole, parameters: DeflateParameters, level: Int = -1, memoryLevel: Int = 8) {
        precondition((-1...9).contains(level) && (1...9).contains(memoryLevel), "level -1...9, memory level 1...9")
        self.level = level
        self.memoryLevel = memoryLevel
        let server = (parameters.serverMaxWindowBits, !parameters.serverNoContextTakeover)
        let client = (parameters.clientMaxWindowBits, !parameters.clientNoContextTakeover)
        (compressWindowBits, compressKeepsContext) = role == .server ? server : client
        (decompressWindowBits, decompressKeepsContext) = role == .server ? client : server
    }

    /// Compresses the next piece of a message and appends what is ready of its payload (§7.2.1).
    ///
    /// - Throws: 1011 when zlib has no memory.
    public mutating func compress(
        _ piece: Span<UInt8>, endOfMessage: Bool, into output: inout ByteBuffer
    ) throws(WebSocketError) {
        if piece.isEmpty {
            guard endOfMessage else { return }
            if !isCompressing {
                // An empty message is one empty block. zlib would write nothing when asked to flush twice (§7.2.3.6).
                output.append(0x00)
                return
            }
        }
        isCompressing = true
        // Taken out while in use: a compressor that failed is not used again.
        var deflater: Deflater
        if let kept = self.deflater.take() {
            deflater = kept
        } else {
            deflater = try Deflater(windowBits: compressWindowBits, level: level, memoryLevel: memoryLevel)
        }
        try piece.withUnsafeBytes { bytes throws(WebSocketError) in
            try deflater.compress(bytes, flush: endOfMessage, into: &output)
        }
        if endOfMessage {
            isCompressing = false
            if Self.endsWithTail(output) { output.truncate(to: output.count - Self.tail.count) }
            if !compressKeepsContext { deflater.reset() }
        }
        self.deflater = consume deflater
    }

    /// A flush always ends so; checked because what is cut is the caller's buffer.
    private static func endsWithTail(_ output: borrowing ByteBuffer) -> Bool {
        output.withBytes { bytes in
            bytes.count >= tail.count && tail.indices.allSatisfy { bytes[bytes.count - tail.count + $0] == tail[$0] }
        }
    }

    /// Decompresses the next piece of a message's payload and appends what it yields (§7.2.2).
    ///
    /// - Parameter limit: bytes that the whole message may have decompressed. At most that many are appended for it.
    /// - Throws: 1007 for data that is broken or ends inside a block, 1009 above the limit, 1011 when zlib has no
    ///   memory.
    public mutating func decompress(
        _ piece: Span<UInt8>, endOfMessage: Bool, limit: Int, into output: inout ByteBuffer
    ) throws(WebSocketError) {
        _ = try decompress(piece, endOfMessage: endOfMessage, limit: limit, atMost: .max, into: &output)
    }

    /// How far a bounded step of `decompress` came.
    package struct Progress: Equatable, Sendable {
        /// Bytes of the piece that were taken.
        package var consumed: Int
        /// All of the piece is taken, and all that it yields was given.
        package var isDone: Bool
    }

    /// The same in steps: appends at most `atMost` bytes, so that what a few bytes swell to is passed on as it comes and
    /// never lies in memory whole. Until the progress is done, call again with what was not consumed of the piece,
    /// perhaps nothing, and the same `endOfMessage`; only then comes the next piece.
    package mutating func decompress(
        _ piece: Span<UInt8>, endOfMessage: Bool, limit: Int, atMost: Int, into output: inout ByteBuffer
    ) throws(WebSocketError) -> Progress {
        precondition(atMost > 0, "no room to decompress into")
        var inflater: Inflater
        if let kept = self.inflater.take() {
            inflater = kept
        } else {
            inflater = try Inflater(windowBits: decompressWindowBits)
        }
        let before = produced ?? 0
        let start = max(0, limit - before)
        var budget = start
        var room = atMost
        var (consumed, isDone) = try piece.withUnsafeBytes { bytes throws(WebSocketError) in
            try inflater.decompress(bytes, room: &room, budget: &budget, into: &output)
        }
        if isDone, endOfMessage {
            let taken: Int
            (taken, isDone) = try Self.tail.span.extracting(tailTaken...).withUnsafeBytes {
                bytes throws(WebSocketError) in
                try inflater.decompress(bytes, room: &room, budget: &budget, into: &output)
            }
            tailTaken += taken
        }
        produced = before + start - budget
        if isDone, endOfMessage {
            guard inflater.isBetweenBlocks else {
                throw .invalidPayload("message ends inside a deflate block (RFC 7692 §7.2.2)")
            }
            (produced, tailTaken) = (nil, 0)
            if !decompressKeepsContext { inflater.reset() }
        }
        self.inflater = consume inflater
        return Progress(consumed: consumed, isDone: isDone)
    }

    /// Gives back what memory holds no context: for an idle connection that agreed to "no context takeover".
    public mutating func releaseUnused() {
        if !compressKeepsContext, !isCompressing { deflater = nil }
        if !decompressKeepsContext, produced == nil { inflater = nil }
    }
}
