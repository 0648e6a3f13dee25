/// Turns the bytes of a WebSocket connection into payload ranges and control frames (RFC 6455 §5), in place.
///
/// The caller owns the memory: it hands in everything received and not yet consumed, gets one event with ranges into
/// those bytes, consumes, and calls again until `.needMore`. Payload is unmasked where it lies and delivered as it
/// comes, so a frame of any length needs no memory here. Control frames are short and delivered whole.
///
/// After `.needMore` at most `maxUnconsumed` bytes are left over; hand them in again with more behind them. After an
/// error the connection is lost: send the error's code in a Close frame and do not call again. Once a Close frame
/// was delivered, whatever follows it is consumed and ignored (§5.5.1).
public struct FrameDecoder: Sendable {
    /// Most bytes ever left unconsumed: a control frame that lacks its last byte.
    public static let maxUnconsumed = 2 + 4 + FrameHeader.maxControlPayload - 1

    public enum Event: Equatable, Sendable {
        /// Nothing whole is left. Receive more.
        case needMore
        /// A piece of a message, unmasked. The opcode is the message's: `.text` or `.binary`. A piece is empty only
        /// when it ends the message.
        case data(Range<Int>, Opcode, isCompressed: Bool, endOfMessage: Bool)
        /// To be answered with a pong of the same payload (§5.5.2).
        case ping(Range<Int>)
        case pong(Range<Int>)
        /// The peer closes. `nil` when it gave no code; the reason is valid UTF-8.
        case close(CloseCode?, reason: Range<Int>)
    }

    /// One event, and how many bytes from the front of the input it and everything before it took.
    public struct Step: Equatable, Sendable {
        public let consumed: Int
        public let event: Event

        package init(consumed: Int, event: Event) {
            self.consumed = consumed
            self.event = event
        }
    }

    private let role: WebSocketRole
    private let maxFramePayload: Int
    private let allowsCompression: Bool

    /// The type of the message under way; `nil` between messages.
    private var message: Opcode?
    private var isCompressed = false
    /// Bytes of the current data frame that are still to come; 0 between frames.
    private var remaining = 0
    private var isFinal = true
    /// The current frame's key, turned so that its first byte belongs to the next byte of payload.
    private var mask: MaskingKey?
    private var isClosed = false
    /// Frames that began, those of control among them.
    package private(set) var frameCount: UInt64 = 0
    /// Pings and pongs.
    package private(set) var heartbeatCount: UInt64 = 0

    /// - Parameter role: our own role. A server takes only masked frames, a client only unmasked ones.
    /// - Parameter maxFramePayload: longest data frame to accept, in bytes.
    /// - Parameter allowsCompression: whether permessage-deflate was negotiated.
    public init(role: WebSocketRole, maxFramePayload: Int = 16 << 20, allowsCompression: Bool = false) {
        precondition(maxFramePayload >= 0, "negative frame limit")
        self.role = role
        self.maxFramePayload = maxFramePayload
        self.allowsCompression = allowsCompression
    }

    /// Whether a message has begun and not ended, so that the end of the stream now would cut it.
    public var isInsideMessage: Bool { message != nil }

    /// Decodes the next event at the front of `bytes` and unmasks what it delivers.
    ///
    /// - Throws: 1002 for broken framing or fragmentation, 1007 for a close reason that is not UTF-8, 1009 for a frame
    ///   above the limit.
    public mutating func next(in bytes: inout MutableSpan<UInt8>) throws(WebSocketError) -> Step {
        try bytes.withUnsafeMutableBytes { bytes throws(WebSocketError) in try next(bytes) }
    }

    /// See the other form.
    package mutating func next(_ bytes: UnsafeMutableRawBufferPointer) throws(WebSocketError) -> Step {
        if isClosed { return Step(consumed: bytes.count, event: .needMore) }
        var position = 0
        while true {
            if remaining > 0 { return takePayload(bytes, from: position) }
            // SAFETY: the span does not outlive this turn of the loop, and nothing writes while it lives.
            let rest = UnsafeRawBufferPointer(rebasing: bytes[position...]).bindMemory(to: UInt8.self)
            guard
                let (header, size) = try FrameHeader.decode(
                    rest.span, role: role, maxPayload: maxFramePayload, allowsCompression: allowsCompression)
            else { return Step(consumed: position, event: .needMore) }

            if header.opcode.isControl {
                guard rest.count >= size + header.payloadLength else {
                    return Step(consumed: position, event: .needMore)
                }
                return try takeControl(header, in: bytes, at: position + size)
            }
            try begin(header)
            position += size
            if remaining == 0, isFinal { return takePayload(bytes, from: position) }
        }
    }

    /// The rules of fragmentation (§5.4).
    private mutating func begin(_ header: FrameHeader) throws(WebSocketError) {
        if header.opcode == .continuation {
            guard message != nil else { throw .protocolError("continuation of no message (§5.4)") }
        } else {
            guard message == nil else { throw .protocolError("new message inside a message (§5.4)") }
            message = header.opcode
            isCompressed = header.isCompressed
        }
        (remaining, isFinal, mask) = (header.payloadLength, header.isFinal, header.mask)
        frameCount &+= 1
    }

    private mutating func takePayload(_ bytes: UnsafeMutableRawBufferPointer, from start: Int) -> Step {
        let count = min(remaining, bytes.count - start)
        // `message` is set while a data frame is open.
        guard count > 0 || remaining == 0, let opcode = message else { return Step(consumed: start, event: .needMore) }
        if let key = mask {
            applyMask(key, to: UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + count]))
            mask = MaskingKey(word: key.rotated(by: count))
        }
        remaining -= count
        let endOfMessage = remaining == 0 && isFinal
        if endOfMessage { message = nil }
        return Step(
            consumed: start + count,
            event: .data(start..<start + count, opcode, isCompressed: isCompressed, endOfMessage: endOfMessage))
    }

    private mutating func takeControl(
        _ header: FrameHeader, in bytes: UnsafeMutableRawBufferPointer, at start: Int
    ) throws(WebSocketError) -> Step {
        let payload = start..<start + header.payloadLength
        if let key = header.mask { applyMask(key, to: UnsafeMutableRawBufferPointer(rebasing: bytes[payload])) }
        frameCount &+= 1
        if header.opcode != .close { heartbeatCount &+= 1 }
        switch header.opcode {
        case .ping: return Step(consumed: payload.upperBound, event: .ping(payload))
        case .pong: return Step(consumed: payload.upperBound, event: .pong(payload))
        default:
            isClosed = true
            return Step(consumed: payload.upperBound, event: try Self.close(payload, in: bytes))
        }
    }

    /// The payload of a Close frame: nothing, or a code and a reason (§5.5.1).
    private static func close(
        _ payload: Range<Int>, in bytes: UnsafeMutableRawBufferPointer
    ) throws(WebSocketError) -> Event {
        if payload.isEmpty { return .close(nil, reason: payload) }
        guard payload.count >= 2 else { throw .protocolError("close payload of one byte (§5.5.1)") }
        let code = CloseCode(
            rawValue: UInt16(bytes[payload.lowerBound]) << 8 | UInt16(bytes[payload.lowerBound + 1]))
        guard code.isValidOnTheWire else { throw .protocolError("close code \(code) (§7.4.1)") }
        let reason = payload.lowerBound + 2..<payload.upperBound
        // SAFETY: the span ends with this function.
        let text = UnsafeRawBufferPointer(rebasing: bytes[reason]).bindMemory(to: UInt8.self)
        var validator = UTF8Validator()
        guard validator.validate(text.span), validator.isComplete else {
            throw .invalidPayload("close reason is not UTF-8 (§5.5.1)")
        }
        return .close(code, reason: reason)
    }
}
