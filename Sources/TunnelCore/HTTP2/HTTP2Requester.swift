/// A client that makes one request after another on an HTTP/2 connection of its own (RFC 9113), without I/O: for checks,
/// which have no use for several at a time.
package struct HTTP2Requester: ~Copyable {
    package enum Event {
        case needMore
        /// The final head; interim ones are passed over.
        case head(status: UInt16, fields: [(name: String, value: String)], isEventStream: Bool)
        /// A piece of the body, in the bytes given.
        case body(Range<Int>)
        case end
        /// The response will not come, or not to its end.
        case reset(HTTP2ErrorCode, isByPeer: Bool)
        /// The server has not taken the request.
        case goAway(HTTP2ErrorCode)
    }

    private var core: HTTP2Connection
    private var id: UInt32 = 0
    /// Of the request's body.
    private var unsent: ArraySlice<UInt8> = []
    private var isOver = false

    package init(now: UInt64) { core = HTTP2Connection(isServer: false, now: now) }

    /// What the server's last reset of ours was for.
    package var streamError: HTTP2Error? { core.streamError }

    /// Begins a request; the one before is over.
    ///
    /// - Parameter request: head and body as in HTTP/1.1.
    /// - Throws: ``HTTPError`` for a head that is none, and when the server takes no further request.
    package mutating func begin(_ request: [UInt8], isSecure: Bool, now: UInt64) throws(HTTPError) {
        var head = RequestHead()
        guard let size = try head.parse(request.span, limits: HeadLimits()) else {
            throw HTTPError(status: 400, reason: "request without end")
        }
        unsent = request[size...]
        let stream = core.sendRequest(
            http1: request.span, scheme: isSecure ? "https" : "http", asWebSocket: false, endsStream: unsent.isEmpty,
            from: head, request.span)
        guard let stream else { throw HTTPError(status: 503, reason: "no further request is taken") }
        (id, isOver) = (stream, false)
        guard !unsent.isEmpty else { return }
        core.offer(unsent.count, on: id, now: now)
        core.finish(id)
    }

    /// Moves what can be sent now.
    package mutating func gather(into out: inout ByteBuffer, now: UInt64) {
        core.drainControl(into: &out)
        while let turn = core.nextData(room: 16_384, now: now) {
            turn.appendHeader(to: &out)
            out.append(Array(unsent.prefix(turn.count)))
            unsent = unsent.dropFirst(turn.count)
        }
    }

    /// The next thing in what the server sent. Behind ``Event/end`` nothing is read before the next request.
    ///
    /// - Parameter position: from here on; moved behind what was taken.
    package mutating func next(
        in bytes: Span<UInt8>, at position: inout Int, now: UInt64
    ) throws(HTTP2Error) -> Event {
        while !isOver {
            switch try core.receive(bytes, at: &position, now: now) {
            case .needMore: return .needMore
            case .response(let stream, let endsStream):
                if stream == id, let event = takeHead(endsStream) { return event }
            case .data(let stream, let range, let endsStream):
                guard stream == id else { continue }
                try core.consumed(range.count, of: id)
                isOver = endsStream
                if !range.isEmpty { return .body(range) }
            case .trailers(let stream) where stream == id: isOver = true
            case .reset(let stream, let code, let isByPeer) where stream == id:
                return .reset(code, isByPeer: isByPeer)
            case .goAway(let last, let code) where last < id: return .goAway(code)
            case .settings, .request, .tooLarge, .trailers, .reset, .goAway, .pong: continue
            }
        }
        core.release(id)
        return .end
    }

    private mutating func takeHead(_ endsStream: Bool) -> Event? {
        var head = ResponseHead()
        var bytes = ByteBuffer()
        core.takeResponse(&head, &bytes)
        guard !head.isInformational else { return nil }
        isOver = endsStream
        let fields = bytes.withBytes { bytes in
            head.fields.map { (name: Self.text(bytes, $0.name), value: Self.text(bytes, $0.value)) }
        }
        return .head(status: head.status, fields: fields, isEventStream: head.isEventStream)
    }

    private static func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
        bytes.extracting(range).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}
