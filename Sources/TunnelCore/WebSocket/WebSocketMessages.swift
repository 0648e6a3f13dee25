/// A whole WebSocket connection after its handshake, as messages: bytes in, events and bytes to send out. No I/O.
///
/// A convenience on top of `FrameDecoder` and `FrameEncoder` for programs that want whole messages: it joins fragments,
/// checks text, compresses, answers pings and runs the closing handshake. Everything to be sent is appended to the
/// `output` given to each call. When `isFinished` turns true, send what `output` holds and close the transport.
///
/// Memory is bounded by `maxMessageSize`, the longest unconsumed input, and the deflate state.
public struct WebSocketMessages: ~Copyable, Sendable {
    public enum Event: Equatable, Sendable {
        case text(String)
        case binary([UInt8])
        /// Already answered.
        case ping([UInt8])
        case pong([UInt8])
        /// The peer's Close frame; already answered. The last event.
        case closed(CloseCode?, reason: String)
    }

    private let maxMessageSize: Int
    private var decoder: FrameDecoder
    private var encoder: FrameEncoder
    private var deflate: PerMessageDeflate?
    private var handshake = CloseHandshake()
    private var input = ByteBuffer()
    /// The message under way, decompressed.
    private var message = ByteBuffer()
    /// Of the text under way. A whole text leaves it as new.
    private var validator = UTF8Validator()
    /// A compressed payload on its way out.
    private var scratch = ByteBuffer()

    /// - Parameter role: our own role.
    /// - Parameter maxMessageSize: longest message to accept, in bytes after decompression.
    /// - Parameter deflate: the parameters agreed in the handshake, `nil` for no compression.
    public init(role: WebSocketRole, maxMessageSize: Int = 1 << 20, deflate: DeflateParameters? = nil) {
        precondition(maxMessageSize >= 0, "negative message limit")
        // Far above any memory, and low enough for the sum below.
        let maxMessageSize = min(maxMessageSize, 1 << 48)
        self.maxMessageSize = maxMessageSize
        // Compressed data may be slightly longer than what it stands for.
        let slack = deflate == nil ? 0 : maxMessageSize / 1000 + 64
        decoder = FrameDecoder(
            role: role, maxFramePayload: maxMessageSize + slack, allowsCompression: deflate != nil)
        encoder = FrameEncoder(role: role)
        if let deflate { self.deflate = PerMessageDeflate(role: role, parameters: deflate) }
    }

    /// Whether messages may still be sent.
    public var isOpen: Bool { handshake.isOpen }
    /// Whether nothing is left to do but to send what is in `output` and to close the transport.
    public var isFinished: Bool { handshake.isDone }

    /// Takes bytes from the transport. Ask `next` for what they hold until it returns `nil`.
    public mutating func receive(_ bytes: Span<UInt8>) {
        if !isFinished { input.append(bytes) }
    }

    /// The next event in the bytes received, or `nil` when more are needed.
    ///
    /// - Throws: why the connection has failed (RFC 6455 §7.1.7). The Close frame that says so is in `output` by then,
    ///   and `isFinished` is true.
    public mutating func next(output: inout ByteBuffer) throws(WebSocketError) -> Event? {
        guard !isFinished else { return nil }
        do {
            while true {
                let step = try input.withMutableBytes { bytes throws(WebSocketError) in try decoder.next(bytes) }
                let event = try take(step.event, output: &output)
                input.consume(step.consumed)
                if let event { return event }
                if case .needMore = step.event { return nil }
            }
        } catch {
            perform(handshake.fail(error.code), output: &output)
            input.release()
            throw error
        }
    }

    private mutating func take(
        _ event: FrameDecoder.Event, output: inout ByteBuffer
    ) throws(WebSocketError) -> Event? {
        switch event {
        case .needMore: return nil
        case .data(let range, let opcode, let isCompressed, let endOfMessage):
            try collect(range, opcode, isCompressed: isCompressed, endOfMessage: endOfMessage)
            return endOfMessage ? finishMessage(opcode) : nil
        case .ping(let range):
            let payload = copy(range)
            if isOpen { encoder.append(.pong, payload: payload.span, to: &output) }
            return .ping(payload)
        case .pong(let range): return .pong(copy(range))
        case .close(let code, let reason):
            perform(handshake.receivedClose(code), output: &output)
            return .closed(code, reason: String(decoding: copy(reason), as: UTF8.self))
        }
    }

    /// Adds a piece to the message; text fails at its first wrong byte (§8.1).
    private mutating func collect(
        _ range: Range<Int>, _ opcode: Opcode, isCompressed: Bool, endOfMessage: Bool
    ) throws(WebSocketError) {
        let before = message.count
        // Taken out while in use, since the bytes are borrowed from `input` beside it.
        var deflate = self.deflate.take()
        let limit = maxMessageSize
        try input.withBytes { bytes throws(WebSocketError) in
            let piece = bytes.extracting(range)
            if isCompressed {
                try deflate?.decompress(piece, endOfMessage: endOfMessage, limit: limit, into: &message)
            } else {
                guard piece.count <= limit - message.count else { throw .messageTooBig("message", limit: limit) }
                message.append(piece)
            }
        }
        self.deflate = deflate.take()
        guard opcode == .text else { return }
        let isText = message.withBytes { validator.validate($0.extracting(before..<$0.count)) }
        guard isText, !endOfMessage || validator.isComplete else { throw .invalidPayload("text is not UTF-8 (§8.1)") }
    }

    private mutating func finishMessage(_ opcode: Opcode) -> Event {
        let bytes = message.array
        // A large message is rare; what it needed is not kept for the next.
        if message.capacity > 65_536 { message.release() } else { message.removeAll() }
        return opcode == .text ? .text(String(decoding: bytes, as: UTF8.self)) : .binary(bytes)
    }

    private func copy(_ range: Range<Int>) -> [UInt8] {
        input.withBytes { $0.extracting(range).withUnsafeBytes { [UInt8]($0) } }
    }

    private mutating func perform(_ action: CloseHandshake.Action?, output: inout ByteBuffer) {
        switch action {
        case .sendClose(let code), .sendCloseThenCloseTransport(let code): encoder.appendClose(code, to: &output)
        case .closeTransport, nil: break
        }
    }
}

// What the program sends. After `close` nothing goes out any more.
extension WebSocketMessages {
    /// Appends a text message.
    /// - Throws: 1011 when zlib has no memory.
    public mutating func send(text: String, output: inout ByteBuffer) throws(WebSocketError) {
        try send(.text, Array(text.utf8).span, output: &output)
    }

    /// Appends a binary message.
    /// - Throws: 1011 when zlib has no memory.
    public mutating func send(binary: Span<UInt8>, output: inout ByteBuffer) throws(WebSocketError) {
        try send(.binary, binary, output: &output)
    }

    /// Appends a ping with up to 125 bytes; what is above that is cut off.
    public mutating func ping(_ payload: Span<UInt8>, output: inout ByteBuffer) {
        guard isOpen else { return }
        encoder.append(.ping, payload: payload.extracting(first: FrameHeader.maxControlPayload), to: &output)
    }

    /// Begins the closing handshake. The peer's Close frame comes as `.closed`.
    public mutating func close(_ code: CloseCode? = .normal, reason: String = "", output: inout ByteBuffer) {
        guard case .sendClose(let code) = handshake.close(code) else { return }
        encoder.appendClose(code, reason: reason, to: &output)
    }

    /// The transport ended. Returns whether the closing handshake was complete (RFC 6455 §7.1.4).
    public mutating func transportClosed() -> Bool { handshake.transportClosed() }

    private mutating func send(
        _ opcode: Opcode, _ payload: Span<UInt8>, output: inout ByteBuffer
    ) throws(WebSocketError) {
        guard isOpen else { return }
        guard var deflate = deflate.take() else {
            return encoder.append(opcode, payload: payload, to: &output)
        }
        scratch.removeAll()
        try deflate.compress(payload, endOfMessage: true, into: &scratch)
        self.deflate = consume deflate
        scratch.withBytes { encoder.append(opcode, isCompressed: true, payload: $0, to: &output) }
        if scratch.capacity > 65_536 { scratch.release() }
    }
}
