/// What came on a connection. Ranges are places in the bytes that were handed in.
public enum HTTP2Event: Equatable, Sendable {
    /// Nothing is left to be read. Receive more.
    case needMore
    /// Settings of the peer took effect.
    case settings
    /// A request came (server). `takeRequest` has its head.
    case request(stream: UInt32, endsStream: Bool)
    /// The header block of a request was beyond the limits. Respond with 431 and reset the stream.
    case tooLarge(stream: UInt32, endsStream: Bool)
    /// A head of a response came (client), which may be interim. `takeResponse` has it.
    case response(stream: UInt32, endsStream: Bool)
    /// A piece of a body. Its stream's window opens as `consumed` is called.
    case data(stream: UInt32, Range<Int>, endsStream: Bool)
    /// The body ended with a trailer section. `takeTrailers` has its lines.
    case trailers(stream: UInt32)
    /// The stream ended before its time: by the peer, or by us for what the peer did. It is to be released.
    case reset(stream: UInt32, HTTP2ErrorCode, isByPeer: Bool)
    /// The peer takes no stream above `lastStream` (RFC 9113 §6.8).
    case goAway(lastStream: UInt32, HTTP2ErrorCode)
    /// A PING of ours came back.
    case pong(UInt64)
}

/// One HTTP/2 connection (RFC 9113) as a value, in either role: bytes and time in, events and bytes out.
///
/// - **In:** `receive` gives one event after another. An error that it throws is the connection's: GOAWAY is in the output, and
///   once that is sent the transport closes. `abuse` says which counter it was, if any.
/// - **Out:** control frames and heads gather until `drainControl`, which comes before data each time. Bodies stay with the
///   caller, who offers bytes (`offer`, `finish`) and asks whose turn it is (`nextData`) as far as the transport has room.
/// - **Streams:** each that an event announced is held until the caller releases it, so the work that a peer can start is bound
///   by `HTTP2Limits.maxStreams` however many streams it resets.
/// - **Time:** `deadline` says when `expire` is due.
///
/// Nothing is allocated for a frame, a field or a stream once the tables have their size.
public struct HTTP2Connection: ~Copyable, Sendable {
    static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    enum Phase: Sendable, Equatable {
        /// Bytes of the client's preface that have come (server).
        case preface(Int)
        /// The first frame has to be SETTINGS.
        case firstSettings
        case open
        case failed
    }

    /// What the header block under way is for.
    enum Block: Sendable, Equatable {
        case none
        case newStream(UInt32, endsStream: Bool, dependsOnItself: Bool)
        /// Of a stream that is open.
        case more(UInt32, endsStream: Bool)
        /// Decoded for the table's sake.
        case ignored
        /// The same, and then an error of the stream.
        case refused(UInt32, HTTP2Error, HTTP2Abuse)
    }

    /// Where the payload of the DATA frame under way goes.
    enum Target: Sendable, Equatable {
        case ignored
        case stream(UInt32, endsStream: Bool)
    }

    public let isServer: Bool
    let limits: HTTP2Limits
    /// The counter that ended the connection.
    public internal(set) var abuse: HTTP2Abuse?
    /// The error of a stream that the peer caused last, and how many there were.
    public internal(set) var streamError: HTTP2Error?
    public internal(set) var streamErrorCount = 0
    /// Streams that are open or not yet released.
    public var streamCount: Int { streams.count }
    /// The greatest stream that the peer opened.
    public internal(set) var lastPeerStream: UInt32 = 0

    var phase: Phase
    var frames: HTTP2FrameDecoder
    var decoder: HPACKDecoder
    var encoder = HPACKEncoder()
    var streams: HTTP2StreamTable
    var earlyPriorities = HTTP2EarlyPriorities()
    var scheduler = HTTP2Scheduler()
    var budgets: [HTTP2Budget]

    var block = Block.none
    /// The pieces of a block that did not come in one.
    var blockBytes = ByteBuffer()
    var blockSince: UInt64 = 0
    var target = Target.ignored
    var list = HPACKFieldList()
    var request = RequestHead()
    var response = ResponseHead()

    /// What we may send on the connection, and what the peer may.
    var window = HTTP2Window()
    var credit = HTTP2Window.initial
    var taken = 0
    var heldSince: UInt64 = 0
    var heldProgress = 0
    /// Of the peer's settings.
    var peerStreamWindow = HTTP2Window.initial
    var peerMaxFrameSize = HTTP2FrameHeader.minMaxFrameSize
    var peerMaxStreams = Int.max
    /// The peer takes extended CONNECT (RFC 8441 §3).
    public internal(set) var peerAllowsConnectProtocol = false
    /// Our window for new streams: what the peer has acknowledged.
    var streamWindow = HTTP2Window.initial
    let opened: UInt64
    var settingsSent: UInt64?
    /// Streams above are ignored: our last GOAWAY.
    var lastAccepted = HTTP2FrameHeader.maxStream
    public internal(set) var isDraining = false
    /// The peer sent GOAWAY: it takes no more streams.
    public internal(set) var isPeerDraining = false
    var nextOwnStream: UInt32

    var control = ByteBuffer()
    /// Replies among `control`.
    var replyBytes = 0

    /// - Parameter isServer: our own role.
    /// - Parameter now: the monotonic clock, in nanoseconds.
    public init(isServer: Bool, limits: HTTP2Limits = HTTP2Limits(), now: UInt64) {
        self.isServer = isServer
        self.limits = limits
        phase = isServer ? .preface(0) : .firstSettings
        frames = HTTP2FrameDecoder(
            isServer: isServer, maxFrameSize: limits.maxFrameSize, maxContinuations: limits.maxContinuations,
            maxSettings: limits.maxSettingsEntries)
        decoder = HPACKDecoder(limits: limits.headers)
        streams = HTTP2StreamTable(maxStreams: limits.maxStreams)
        budgets = HTTP2Abuse.allCases.map { HTTP2Budget(limits[$0], now: now) }
        opened = now
        nextOwnStream = isServer ? 2 : 1
        if !isServer { control.append(Self.preface) }
        appendSettings()
        settingsSent = now
    }

    private mutating func appendSettings() {
        var entries = ByteBuffer()
        HTTP2Setting.headerTableSize.append(UInt32(limits.headers.maxTableSize), to: &entries)
        HTTP2Setting.initialWindowSize.append(UInt32(limits.streamWindow), to: &entries)
        HTTP2Setting.maxFrameSize.append(UInt32(limits.maxFrameSize), to: &entries)
        HTTP2Setting.maxHeaderListSize.append(UInt32(limits.headers.maxListSize), to: &entries)
        HTTP2Setting.noRFC7540Priorities.append(1, to: &entries)
        if isServer {
            HTTP2Setting.maxConcurrentStreams.append(UInt32(limits.maxStreams), to: &entries)
            if limits.allowsConnectProtocol { HTTP2Setting.enableConnectProtocol.append(1, to: &entries) }
        } else {
            HTTP2Setting.enablePush.append(0, to: &entries)
        }
        HTTP2FrameHeader(.settings, stream: 0, length: entries.count).append(to: &control)
        entries.withBytes { control.append($0) }
        if limits.connectionWindow > credit {
            HTTP2FrameHeader.appendWindowUpdate(0, by: limits.connectionWindow - credit, to: &control)
            credit = limits.connectionWindow
        }
    }

    /// Reads the next event.
    ///
    /// - Parameter bytes: everything received and not yet consumed.
    /// - Parameter position: where to go on in it; afterwards, where the next call goes on. What is behind it at `.needMore`,
    ///   at most `HTTP2FrameDecoder.maxUnconsumed` bytes, is to be handed in again.
    /// - Throws: why the connection must end.
    public mutating func receive(
        _ bytes: Span<UInt8>, at position: inout Int, now: UInt64
    ) throws(HTTP2Error) -> HTTP2Event {
        guard phase != .failed else { throw .protocolError("connection has failed") }
        do throws(HTTP2Error) {
            if case .preface(let count) = phase {
                guard try takePreface(count, bytes, &position) else { return .needMore }
            }
            while true {
                let event = try frames.next(in: bytes, at: &position)
                if event == .needMore { return .needMore }
                if let event = try take(event, bytes, now) { return event }
            }
        } catch {
            // Of what the decoder of frames bounds, too.
            if error.code == .enhanceYourCalm, abuse == nil { abuse = frames.isInsideBlock ? .headerBlock : .settings }
            fail(error)
            throw error
        }
    }

    /// Ends the connection for a reason of ours: nothing but GOAWAY is sent any more.
    public mutating func fail(_ error: HTTP2Error) {
        guard phase != .failed else { return }
        phase = .failed
        // What else was to be sent is of no use to a peer that breaks the rules, but settings come first (RFC 9113 §3.4).
        HTTP2FrameHeader.appendGoAway(lastStream: isServer ? lastPeerStream : 0, error.code, to: &control)
    }

    private mutating func takePreface(
        _ count: Int, _ bytes: Span<UInt8>, _ position: inout Int
    ) throws(HTTP2Error) -> Bool {
        var count = count
        while count < Self.preface.utf8CodeUnitCount {
            guard position < bytes.count else {
                phase = .preface(count)
                return false
            }
            // SAFETY: `count` is below the length of the StaticString.
            guard bytes[position] == Self.preface.utf8Start[count] else {
                throw .protocolError("not the preface of HTTP/2 (RFC 9113 3.4)")
            }
            position += 1
            count += 1
        }
        phase = .firstSettings
        return true
    }

    /// Takes what the decoder of frames says; `nil` if there is nothing to say to the caller.
    private mutating func take(
        _ event: HTTP2FrameDecoder.Event, _ bytes: Span<UInt8>, _ now: UInt64
    ) throws(HTTP2Error) -> HTTP2Event? {
        if phase == .firstSettings {
            switch event {
            case .setting: break
            case .endOfSettings: phase = .open
            default: throw .protocolError("first frame is not SETTINGS (RFC 9113 3.4)")
            }
        }
        switch event {
        case .needMore: return .needMore
        case .headers(let stream, let endsStream, let dependsOnItself):
            try beginBlock(stream, endsStream, dependsOnItself, now)
            return nil
        case .fragment(let range, let endsBlock): return try takeFragment(range, endsBlock, bytes, now)
        case .data(let stream, let length, let payload, let endsStream):
            return try beginData(stream, length, payload, endsStream, now)
        case .payload(let range, let endsFrame): return try takePayload(range, endsFrame, now)
        default: return try takeControl(event, bytes, now)
        }
    }

    /// Counts something that a peer may do only so often.
    ///
    /// - Throws: ENHANCE_YOUR_CALM once it is too often; `abuse` is set then.
    mutating func count(_ kind: HTTP2Abuse, _ now: UInt64) throws(HTTP2Error) {
        guard budgets[kind.rawValue].spend(limits[kind], now: now) else {
            abuse = kind
            throw .calm("too much of \(kind)")
        }
    }

    /// The peer could not have opened the stream yet, nor we. One that it opened too late for our last GOAWAY is not idle.
    func isIdle(_ stream: UInt32) -> Bool {
        let isOwn = (stream & 1 == 0) == isServer
        return isOwn ? stream >= nextOwnStream : stream > lastPeerStream && !isTooLate(stream)
    }

    /// The peer opened the stream, or may have, after our last GOAWAY: nothing of it is taken (§6.8).
    func isTooLate(_ stream: UInt32) -> Bool { isServer && stream & 1 == 1 && stream > lastAccepted }

    /// An error of one stream that the peer caused (§5.4.2). Returns what the caller has to know, if it knows the stream.
    mutating func failStream(
        _ stream: UInt32, _ error: HTTP2Error, _ now: UInt64, _ kind: HTTP2Abuse = .causedReset
    ) throws(HTTP2Error) -> HTTP2Event? {
        streamError = error
        streamErrorCount &+= 1
        try count(kind, now)
        try reply { HTTP2FrameHeader.appendReset(stream, error.code, to: &$0) }
        guard let slot = streams.find(stream) else {
            streams.remember(stream, .resetByUs)
            return nil
        }
        let wasReset = streams.slots[slot].isDone
        close(slot)
        streams.slots[slot].wasReset = true
        streams.remember(stream, .resetByUs)
        return wasReset ? nil : .reset(stream: stream, error.code, isByPeer: false)
    }

    /// Nothing more is sent or delivered on the stream; its slot stays until it is released.
    mutating func close(_ slot: Int) {
        unschedule(slot)
        streams.slots[slot].incoming = .done
        streams.slots[slot].outgoing = .done
        streams.slots[slot].pending = 0
        streams.slots[slot].heldSince = 0
        if case .stream(streams.slots[slot].id, _) = target { target = .ignored }
    }

    /// Appends a reply, whose number a peer that does not read could drive up.
    mutating func reply(_ body: (inout ByteBuffer) -> Void) throws(HTTP2Error) {
        let before = control.count
        body(&control)
        replyBytes += control.count - before
        guard replyBytes <= limits.maxReplyBytes else {
            abuse = .controlQueue
            throw .calm("over \(limits.maxReplyBytes) bytes of replies unread")
        }
    }
}
