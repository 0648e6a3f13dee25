/// Turns the bytes of an HTTP/2 connection, its preface taken off, into events (RFC 9113 §4, §6). Knows the form of frames and
/// which may follow which, and nothing of streams.
///
/// The caller owns the memory: it hands in everything received, with the place where reading goes on, and calls again until
/// `.needMore`. Payloads of DATA and header blocks are delivered as they come, whatever the size of their frame, and padding is
/// passed over. What is left over then is never longer than `maxUnconsumed`. After an error the connection is lost.
package struct HTTP2FrameDecoder: Sendable {
    /// The longest field value of a PRIORITY_UPDATE that is looked at. RFC 9218 defines values a tenth as long.
    package static let maxPriorityValue = 128
    /// Most bytes ever left unconsumed.
    package static let maxUnconsumed = HTTP2FrameHeader.size + 4 + maxPriorityValue - 1

    package enum Event: Equatable, Sendable {
        /// Nothing whole is left. Receive more.
        case needMore
        /// A DATA frame begins. All of its `length`, padding too, counts for flow control (§6.9.1); `payload` is without that.
        case data(stream: UInt32, length: Int, payload: Int, endsStream: Bool)
        /// The next bytes of the DATA frame; none only when they end it.
        case payload(Range<Int>, endsFrame: Bool)
        /// A HEADERS frame begins. A stream that depends on itself is an error of the stream (RFC 7540 §5.3.1), whose block has
        /// to be decoded none the less.
        case headers(stream: UInt32, endsStream: Bool, dependsOnItself: Bool)
        /// The next bytes of its header block, from whichever frame; none only at the end of a frame.
        case fragment(Range<Int>, endsBlock: Bool)
        /// One entry of a SETTINGS frame, its value in range.
        case setting(HTTP2Setting, UInt32)
        /// The SETTINGS frame ends, and is to be acknowledged once its entries are applied (§6.5.3).
        case endOfSettings
        case settingsAck
        case ping(UInt64, isAck: Bool)
        case reset(stream: UInt32, HTTP2ErrorCode)
        case windowUpdate(stream: UInt32, Int)
        /// The debug data is passed over.
        case goAway(lastStream: UInt32, HTTP2ErrorCode)
        /// Deprecated, and of no effect (§5.3.2).
        case priority(stream: UInt32)
        /// A field value as that of Priority (RFC 9218 §7.1), empty if it is longer than `maxPriorityValue`.
        case priorityUpdate(stream: UInt32, Range<Int>)
        /// A frame of a type that we do not know begins; it is passed over (§5.5).
        case unknown(HTTP2FrameType)
        /// A frame that is an error of its stream; it is passed over.
        case streamError(stream: UInt32, HTTP2Error)
    }

    private enum State: Sendable {
        case header
        /// In DATA.
        case payload(left: Int)
        /// In HEADERS or CONTINUATION; the block ends with the frame if so.
        case fragment(left: Int, endsBlock: Bool)
        case settings(left: Int)
        /// Behind everything of interest; `padding` is what the state ends with.
        case skip(left: Int)
    }

    /// Which role we have ourselves.
    private let isServer: Bool
    private let maxFrameSize: Int
    private let maxContinuations: Int
    private let maxSettings: Int
    private var state = State.header
    /// Bytes of padding behind the payload under way.
    private var padding = 0
    /// The stream whose header block is open, or 0, and the CONTINUATION frames that it has.
    private var blockStream: UInt32 = 0
    private var continuations = 0

    /// - Parameter isServer: our own role.
    /// - Parameter maxFrameSize: our SETTINGS_MAX_FRAME_SIZE.
    /// - Parameter maxContinuations: CONTINUATION frames that a header block may have.
    /// - Parameter maxSettings: entries that a SETTINGS frame may have.
    package init(
        isServer: Bool, maxFrameSize: Int = HTTP2FrameHeader.minMaxFrameSize, maxContinuations: Int = 8,
        maxSettings: Int = 32
    ) {
        self.isServer = isServer
        self.maxFrameSize = maxFrameSize
        self.maxContinuations = maxContinuations
        self.maxSettings = maxSettings
    }

    /// A header block has begun and not ended, so that nothing but its continuation may follow.
    package var isInsideBlock: Bool { blockStream != 0 }

    /// Decodes the next event.
    ///
    /// - Parameter bytes: what was received; ranges in events are places in it.
    /// - Parameter position: where to go on; afterwards, where the next call goes on.
    /// - Throws: FRAME_SIZE_ERROR, PROTOCOL_ERROR or FLOW_CONTROL_ERROR for a frame that breaks its rules,
    ///   ENHANCE_YOUR_CALM above a limit. Each is fatal for the connection.
    package mutating func next(in bytes: Span<UInt8>, at position: inout Int) throws(HTTP2Error) -> Event {
        while true {
            switch state {
            case .header:
                guard let header = HTTP2FrameHeader.decode(bytes, at: position) else { return .needMore }
                guard let event = try begin(header, bytes, &position) else { return .needMore }
                return event
            case .payload(let left):
                let range = piece(left, bytes, &position)
                guard !range.isEmpty || left == 0 else { return .needMore }
                state = range.count < left ? .payload(left: left - range.count) : .skip(left: padding)
                return .payload(range, endsFrame: range.count == left)
            case .fragment(let left, let endsBlock):
                let range = piece(left, bytes, &position)
                guard !range.isEmpty || left == 0 else { return .needMore }
                let endsFrame = range.count == left
                state = endsFrame ? .skip(left: padding) : .fragment(left: left - range.count, endsBlock: endsBlock)
                if endsFrame, endsBlock { blockStream = 0 }
                return .fragment(range, endsBlock: endsFrame && endsBlock)
            case .settings(let left):
                guard left > 0 else {
                    state = .header
                    return .endOfSettings
                }
                guard bytes.count - position >= 6 else { return .needMore }
                let setting = HTTP2Setting(rawValue: UInt16(bytes[position]) << 8 | UInt16(bytes[position + 1]))
                let value = bytes.bigEndian32(at: position + 2)
                try setting.check(value)
                if !isServer, setting == .enablePush, value == 1 {
                    throw .protocolError("a server enables push (RFC 9113 6.5.2)")
                }
                position += 6
                state = .settings(left: left - 6)
                return .setting(setting, value)
            case .skip(let left):
                let count = piece(left, bytes, &position).count
                guard count == left else {
                    state = .skip(left: left - count)
                    return .needMore
                }
                state = .header
            }
        }
    }

    private func piece(_ left: Int, _ bytes: Span<UInt8>, _ position: inout Int) -> Range<Int> {
        let count = min(left, bytes.count - position)
        defer { position += count }
        return position..<position + count
    }

    /// Begins a frame, or waits for those of its bytes that are needed at once.
    private mutating func begin(
        _ header: HTTP2FrameHeader, _ bytes: Span<UInt8>, _ position: inout Int
    ) throws(HTTP2Error) -> Event? {
        guard header.length <= maxFrameSize else {
            throw .frameSize("frame over SETTINGS_MAX_FRAME_SIZE (RFC 9113 4.2)")
        }
        guard blockStream == 0 || header.type == .continuation && header.stream == blockStream else {
            throw .protocolError("header block without its continuation (RFC 9113 6.10)")
        }
        let start = position + HTTP2FrameHeader.size
        try checkForm(header)
        switch header.type {
        case .data, .headers: return try beginPadded(header, bytes, start, &position)
        case .continuation:
            guard blockStream != 0 else { throw .protocolError("CONTINUATION of no block (RFC 9113 6.10)") }
            continuations += 1
            guard continuations <= maxContinuations else {
                throw .calm("over \(maxContinuations) CONTINUATION frames in a block")
            }
            position = start
            padding = 0
            state = .fragment(left: header.length, endsBlock: header.flags.contains(.endHeaders))
            return try next(in: bytes, at: &position)
        case .settings:
            position = start
            if header.flags.contains(.ack) { return .settingsAck }
            guard header.length <= maxSettings * 6 else { throw .calm("over \(maxSettings) settings in a frame") }
            state = .settings(left: header.length)
            return try next(in: bytes, at: &position)
        case .pushPromise: throw .protocolError("PUSH_PROMISE, which we do not enable (RFC 9113 6.6, 8.4)")
        default: return try takeWhole(header, bytes, start, &position)
        }
    }

    /// The rules of each type that stream identifier and length alone can break.
    private func checkForm(_ header: HTTP2FrameHeader) throws(HTTP2Error) {
        switch header.type {
        case .data, .headers, .priority, .resetStream, .continuation, .pushPromise:
            guard header.stream != 0 else {
                throw .protocolError("frame of a stream on stream 0 (RFC 9113 6.1-6.4, 6.10)")
            }
        case .settings, .ping, .goAway, .priorityUpdate:
            guard header.stream == 0 else {
                throw .protocolError("frame of the connection on a stream (RFC 9113 6.5, 6.7, 6.8, RFC 9218 7.1)")
            }
        default: break
        }
        let length = header.length
        let isRight =
            switch header.type {
            case .resetStream, .windowUpdate: length == 4
            case .settings: header.flags.contains(.ack) ? length == 0 : length % 6 == 0
            case .ping: length == 8
            case .goAway: length >= 8
            case .priorityUpdate: length >= 4
            default: true
            }
        guard isRight else { throw .frameSize("frame of a wrong length (RFC 9113 6.4-6.9)") }
        if header.type == .priorityUpdate, !isServer {
            throw .protocolError("PRIORITY_UPDATE from a server (RFC 9218 7.1)")
        }
    }

    /// DATA and HEADERS: ahead of the payload are the length of the padding and the priority, behind it is the padding.
    private mutating func beginPadded(
        _ header: HTTP2FrameHeader, _ bytes: Span<UInt8>, _ start: Int, _ position: inout Int
    ) throws(HTTP2Error) -> Event? {
        let isPadded = header.flags.contains(.padded)
        let hasPriority = header.type == .headers && header.flags.contains(.priority)
        let prefix = (isPadded ? 1 : 0) + (hasPriority ? 5 : 0)
        guard header.length >= prefix else { throw .frameSize("frame too short for its flags (RFC 9113 6.1, 6.2)") }
        guard bytes.count - start >= prefix else { return nil }
        padding = isPadded ? Int(bytes[start]) : 0
        guard padding <= header.length - prefix else {
            throw .protocolError("padding over the payload (RFC 9113 6.1, 6.2)")
        }
        position = start + prefix
        let left = header.length - prefix - padding
        let endsStream = header.flags.contains(.endStream)
        if header.type == .data {
            state = .payload(left: left)
            return .data(stream: header.stream, length: header.length, payload: left, endsStream: endsStream)
        }
        let dependency = hasPriority ? bytes.bigEndian32(at: start + prefix - 5) & HTTP2FrameHeader.maxStream : 0
        blockStream = header.stream
        continuations = 0
        state = .fragment(left: left, endsBlock: header.flags.contains(.endHeaders))
        return .headers(stream: header.stream, endsStream: endsStream, dependsOnItself: dependency == header.stream)
    }

    /// The frames that are short, or of which only the front counts.
    private mutating func takeWhole(
        _ header: HTTP2FrameHeader, _ bytes: Span<UInt8>, _ start: Int, _ position: inout Int
    ) throws(HTTP2Error) -> Event? {
        let isLongPriority = header.type == .priorityUpdate && header.length > 4 + Self.maxPriorityValue
        let needed =
            switch header.type {
            case .priority: header.length == 5 ? 5 : 0
            case .resetStream, .windowUpdate: 4
            case .ping, .goAway: 8
            case .priorityUpdate: isLongPriority ? 4 : header.length
            default: 0
            }
        guard bytes.count - start >= needed else { return nil }
        position = start + needed
        state = .skip(left: header.length - needed)
        switch header.type {
        case .priority:
            guard header.length == 5 else {
                return .streamError(stream: header.stream, .frameSize("PRIORITY of a wrong length (RFC 9113 6.3)"))
            }
            guard bytes.bigEndian32(at: start) & HTTP2FrameHeader.maxStream != header.stream else {
                return .streamError(stream: header.stream, .protocolError("stream depends on itself (RFC 7540 5.3.1)"))
            }
            return .priority(stream: header.stream)
        case .resetStream:
            return .reset(stream: header.stream, HTTP2ErrorCode(rawValue: bytes.bigEndian32(at: start)))
        case .ping:
            let opaque = UInt64(bytes.bigEndian32(at: start)) << 32 | UInt64(bytes.bigEndian32(at: start + 4))
            return .ping(opaque, isAck: header.flags.contains(.ack))
        case .goAway:
            return .goAway(
                lastStream: bytes.bigEndian32(at: start) & HTTP2FrameHeader.maxStream,
                HTTP2ErrorCode(rawValue: bytes.bigEndian32(at: start + 4)))
        case .windowUpdate:
            let increment = Int(bytes.bigEndian32(at: start) & HTTP2FrameHeader.maxStream)
            if increment > 0 { return .windowUpdate(stream: header.stream, increment) }
            let error = HTTP2Error.protocolError("WINDOW_UPDATE by 0 (RFC 9113 6.9)")
            guard header.stream != 0 else { throw error }
            return .streamError(stream: header.stream, error)
        case .priorityUpdate:
            let stream = bytes.bigEndian32(at: start) & HTTP2FrameHeader.maxStream
            guard stream != 0 else { throw .protocolError("PRIORITY_UPDATE for stream 0 (RFC 9218 7.1)") }
            return .priorityUpdate(stream: stream, start + 4..<start + needed)
        default: return .unknown(header.type)
        }
    }
}
