/// Whose turn it is to send a piece of its body.
public struct HTTP2DataTurn: Equatable, Sendable {
    public let stream: UInt32
    /// Bytes to take from the front of what the stream has offered.
    public let count: Int
    /// The stream ends with them.
    public let endsStream: Bool

    /// Appends the header of the DATA frame; the bytes are to follow it at once.
    public func appendHeader(to out: inout ByteBuffer) {
        HTTP2FrameHeader(.data, flags: endsStream ? .endStream : [], stream: stream, length: count).append(to: &out)
    }
}

/// What we send (RFC 9113 §8.1): heads at once, bodies in turn.
extension HTTP2Connection {
    /// Opens a stream with a request (client).
    ///
    /// - Parameter lines: pseudo-header fields, then fields: `name: value` lines, each with its CRLF.
    /// - Returns: the stream; `nil` while the peer takes no more of them.
    public mutating func sendRequest(_ lines: Span<UInt8>, method: Method, endsStream: Bool) -> UInt32? {
        guard let stream = openOwnStream(method: method, endsStream: endsStream) else { return nil }
        sendBlock(stream, endsStream, status: nil, lines)
        promiseBody(ofRequest: stream)
        return stream
    }

    /// Notes how long the body of a request has to be, where its head, just encoded, says so.
    mutating func promiseBody(ofRequest stream: UInt32) {
        if let slot = streams.find(stream) { streams.slots[slot].promised = encoder.contentLength }
    }

    /// Takes the next number for a stream of ours; its head is to be written at once.
    mutating func openOwnStream(method: Method, endsStream: Bool) -> UInt32? {
        guard !isServer, phase != .failed, !isPeerDraining, streams.count < peerMaxStreams,
            nextOwnStream < HTTP2FrameHeader.maxStream
        else { return nil }
        var stream = HTTP2Stream()
        stream.id = nextOwnStream
        stream.outgoing = endsStream ? .done : .body
        stream.window = HTTP2Window(peerStreamWindow)
        stream.credit = streamWindow
        stream.method = method
        nextOwnStream += 2
        // Each request allows its interim responses.
        budgets[HTTP2Abuse.ignoredFrame.rawValue].gain(8, limits[.ignoredFrame])
        _ = streams.insert(stream)
        return stream.id
    }

    /// Sends a head of a response (server): interim ones first, then the final one.
    ///
    /// - Parameter lines: fields without pseudo-header fields, each line with its CRLF. Those of the connection are left out.
    /// - Returns: false if the stream takes none any more.
    @discardableResult
    public mutating func sendResponse(
        _ stream: UInt32, status: UInt16, _ lines: Span<UInt8>, endsStream: Bool = false
    ) -> Bool {
        guard let slot = slotToSend(stream, .head) else { return false }
        if endsStream {
            streams.slots[slot].outgoing = .done
        } else if status >= 200 {
            streams.slots[slot].outgoing = .body
        }
        sendBlock(stream, endsStream, status: status, lines)
        promiseBody(slot, status)
        return true
    }

    /// Notes how long the body of a response has to be, where its head, just encoded, says so and it has one (RFC 9110 §8.6).
    mutating func promiseBody(_ slot: Int, _ status: UInt16) {
        guard status >= 200, status != 204, status != 304, streams.slots[slot].method != .head else { return }
        streams.slots[slot].promised = encoder.contentLength
    }

    /// A body shorter than its content-length must not look whole (RFC 9113 §8.1.1): the stream is reset instead.
    private mutating func keepsPromise(_ slot: Int) -> Bool {
        guard streams.slots[slot].promised > 0 else { return true }
        reset(streams.slots[slot].id, .internalError)
        return false
    }

    /// Sends trailers, once all that was offered has gone, and ends the stream.
    ///
    /// - Returns: false if bytes are still waiting, or the stream takes none any more.
    @discardableResult
    public mutating func sendTrailers(_ stream: UInt32, _ lines: Span<UInt8>) -> Bool {
        guard let slot = slotToSend(stream, .body), streams.slots[slot].pending == 0, keepsPromise(slot) else {
            return false
        }
        streams.slots[slot].outgoing = .done
        sendBlock(stream, true, status: nil, lines)
        return true
    }

    func slotToSend(_ stream: UInt32, _ half: HTTP2Stream.Half) -> Int? {
        guard phase != .failed, let slot = streams.find(stream), streams.slots[slot].outgoing == half else {
            return nil
        }
        return slot
    }

    private mutating func sendBlock(_ stream: UInt32, _ endsStream: Bool, status: UInt16?, _ lines: Span<UInt8>) {
        let start = control.beginHeaders()
        encoder.begin(into: &control)
        if let status { encoder.encode(status: status, into: &control) }
        encodeLines(lines)
        control.endHeaders(from: start, stream: stream, endsStream: endsStream, maxFrameSize: peerMaxFrameSize)
    }

    /// Encodes field lines, less those of the connection.
    mutating func encodeLines(_ lines: Span<UInt8>) {
        var position = 0
        while let line = FieldLine(lines, from: position) {
            position = line.end
            if !HopByHop.isHopByHop(FieldName(line.name, in: lines)) || line.isTrailersInTE(lines) {
                encoder.encode(
                    name: lines.extracting(line.name), value: lines.extracting(line.value), into: &control)
            }
        }
    }

    /// `count` more bytes of the stream's body are ready to be sent.
    ///
    /// - Returns: false if the stream takes none any more. One that would send more than its Content-Length says is reset with
    ///   INTERNAL_ERROR: nobody could tell which of the two is right (RFC 9113 §8.1.1).
    @discardableResult
    public mutating func offer(_ count: Int, on stream: UInt32, now: UInt64) -> Bool {
        guard count > 0 else { return true }
        guard let slot = slotToSend(stream, .body), !streams.slots[slot].endsWithPending else { return false }
        if streams.slots[slot].promised >= 0 {
            guard count <= streams.slots[slot].promised else {
                reset(stream, .internalError)
                return false
            }
            streams.slots[slot].promised -= Int64(count)
        }
        streams.slots[slot].pending += count
        schedule(slot)
        hold(slot, now)
        return true
    }

    /// Takes note that the stream waits for its window, if it does.
    private mutating func hold(_ slot: Int, _ now: UInt64) {
        guard streams.slots[slot].pending > 0, streams.slots[slot].window.available == 0,
            streams.slots[slot].heldSince == 0
        else { return }
        (streams.slots[slot].heldSince, streams.slots[slot].progress) = (max(1, now), 0)
    }

    /// The body ends with what was offered.
    ///
    /// - Returns: false if the stream takes none any more. One that has offered less than its Content-Length says is reset with
    ///   INTERNAL_ERROR.
    @discardableResult
    public mutating func finish(_ stream: UInt32) -> Bool {
        guard let slot = slotToSend(stream, .body), keepsPromise(slot) else { return false }
        guard streams.slots[slot].pending == 0 else {
            streams.slots[slot].endsWithPending = true
            return true
        }
        streams.slots[slot].outgoing = .done
        HTTP2FrameHeader(.data, flags: .endStream, stream: stream, length: 0).append(to: &control)
        return true
    }

    /// The next stream that sends, and how much. Its frame is to be written before the next `drainControl`.
    ///
    /// - Parameter room: the most bytes to send.
    public mutating func nextData(room: Int, now: UInt64) -> HTTP2DataTurn? {
        guard phase != .failed, room > 0 else { return nil }
        while !scheduler.isEmpty {
            guard window.available > 0 else {
                if heldSince == 0 { (heldSince, heldProgress) = (max(1, now), 0) }
                return nil
            }
            guard let slot = scheduler.takeNext(from: &streams.slots) else { return nil }
            let available = min(streams.slots[slot].window.available, window.available)
            let count = min(
                streams.slots[slot].pending, available, peerMaxFrameSize, HTTP2FrameHeader.minMaxFrameSize, room)
            guard count > 0 else {
                // The peer took the window back.
                hold(slot, now)
                continue
            }
            return takeTurn(slot, count, now)
        }
        heldSince = 0
        return nil
    }

    private mutating func takeTurn(_ slot: Int, _ count: Int, _ now: UInt64) -> HTTP2DataTurn {
        _ = window.take(count)
        _ = streams.slots[slot].window.take(count)
        streams.slots[slot].pending -= count
        budgets[HTTP2Abuse.windowUpdate.rawValue].gain(2, limits[.windowUpdate])
        let isDrained = streams.slots[slot].pending == 0
        let endsStream = isDrained && streams.slots[slot].endsWithPending
        if endsStream { streams.slots[slot].outgoing = .done }
        streams.slots[slot].progress += count
        if isDrained || streams.slots[slot].progress >= limits.windowProgress { streams.slots[slot].heldSince = 0 }
        if !isDrained {
            if streams.slots[slot].window.available > 0 {
                scheduler.add(slot, to: &streams.slots, inFront: !streams.slots[slot].priority.isIncremental)
            } else {
                hold(slot, now)
            }
        }
        heldProgress += count
        if heldProgress >= limits.windowProgress || scheduler.isEmpty { heldSince = 0 }
        return HTTP2DataTurn(stream: streams.slots[slot].id, count: count, endsStream: endsStream)
    }

    /// Ends a stream for a reason of ours: the client is not interested any more, or the upstream broke off.
    public mutating func reset(_ stream: UInt32, _ code: HTTP2ErrorCode) {
        guard phase != .failed, let slot = streams.find(stream), !streams.slots[slot].isDone else { return }
        close(slot)
        streams.slots[slot].wasReset = true
        streams.remember(stream, .resetByUs)
        HTTP2FrameHeader.appendReset(stream, code, to: &control)
    }

    /// The exchange has ended. If the stream has not, it is reset: without an error when our side is complete (§8.1).
    public mutating func release(_ stream: UInt32) {
        guard let slot = streams.find(stream) else { return }
        if !streams.slots[slot].isDone {
            reset(stream, streams.slots[slot].outgoing == .done ? .noError : .cancel)
        }
        unschedule(slot)
        streams.remove(slot, streams.slots[slot].wasReset ? .resetByUs : .complete)
    }

    /// Moves control frames and heads, which go before any data, to `out`.
    public mutating func drainControl(into out: inout ByteBuffer) {
        guard !control.isEmpty else { return }
        control.withBytes { out.append($0) }
        // Heads have tokens, and the connection may rest now.
        control.wipe()
        encoder.wipe()
        replyBytes = 0
    }

    /// Bytes that `drainControl` would move.
    public var controlBytes: Int { control.count }

    /// Sends a PING, whose return is a `.pong`.
    public mutating func sendPing(_ opaque: UInt64) {
        guard phase != .failed else { return }
        HTTP2FrameHeader.appendPing(opaque, isAck: false, to: &control)
    }

    /// Begins to drain (§6.8): the peer is told to open no more streams; those that are on their way are still taken.
    public mutating func beginDraining() {
        guard phase != .failed, !isDraining else { return }
        isDraining = true
        HTTP2FrameHeader.appendGoAway(lastStream: HTTP2FrameHeader.maxStream, .noError, to: &control)
    }

    /// Says which stream was the last, after at least a round trip: a PING sent with `beginDraining` came back. What the peer
    /// opens from here on is ignored, and it may try it elsewhere. So is a stream whose head is not complete.
    public mutating func finishDraining() {
        guard phase != .failed, lastAccepted == HTTP2FrameHeader.maxStream else { return }
        isDraining = true
        if case .newStream(let stream, _, _) = block {
            block = .ignored
            lastPeerStream = max(stream, 2) - 2
        }
        lastAccepted = lastPeerStream
        HTTP2FrameHeader.appendGoAway(lastStream: lastPeerStream, .noError, to: &control)
    }
}

/// A line `name: value CRLF` among others.
struct FieldLine {
    let name: Range<Int>
    let value: Range<Int>
    /// Behind its CRLF.
    let end: Int

    init?(_ lines: Span<UInt8>, from start: Int) {
        guard start < lines.count else { return nil }
        // A pseudo-header field begins with its own colon.
        let colon = lines.firstIndex(of: HTTPByte.colon, from: start + 1, to: lines.count)
        let stop = lines.firstIndex(of: HTTPByte.carriageReturn, from: colon, to: lines.count)
        guard colon < stop else { return nil }
        name = start..<colon
        value = lines.trimmed(colon + 1..<stop)
        end = stop + 2
    }

    func isTrailersInTE(_ lines: Span<UInt8>) -> Bool {
        lines.matches(name, ignoringCase: "te") && lines.matches(value, ignoringCase: "trailers")
    }
}
