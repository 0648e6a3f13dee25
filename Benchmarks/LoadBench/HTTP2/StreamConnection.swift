import TunnelCore
import TunnelIO

/// Told what happens on the streams of an HTTP/2 connection of the load client. Calls may open streams.
///
/// A place is one of the connection's streams at a time; the next stream may have the same place.
protocol StreamUser: AnyObject {
    /// The server's settings are there: streams may be opened.
    func streamsOpened(_ connection: StreamConnection)
    /// The head of a response with status 200, and its Content-Length.
    func streamResponded(_ connection: StreamConnection, _ place: Int, length: Int?)
    func streamReceived(_ connection: StreamConnection, _ place: Int, _ bytes: UnsafeRawBufferPointer)
    /// The response is whole: its place is free.
    func streamEnded(_ connection: StreamConnection, _ place: Int)
    /// The connection or a stream of it is of no use any more.
    func streamsFailed(_ reason: String)
}

/// One HTTP/2 connection of the load client, on the same transports as those of HTTP/1.1.
///
/// All that a turn brings is taken first, and what it gives to send then leaves together.
final class StreamConnection: ClientConnectionUser {
    /// The same towards every server: far more than is on its way here.
    static let streamWindow = 1 << 20
    private static let connectionWindow = 4 << 20
    private static let sendPiece = 32 * 1024

    let index: Int
    private let shared: ClientShared
    private unowned let user: any StreamUser
    private lazy var transport = LoadConnection(shared, index: index, user: self)
    private var http2: HTTP2Connection
    private var hasSettings = false
    /// The stream of each place, 0 for none, and how much of its request's body has gone.
    private var streams: [UInt32]
    private var sentBodies: [Int]
    private var body: [UInt8] = []
    private var out = ByteBuffer(capacity: 64 * 1024)
    private var head = ResponseHead()
    private var headBytes = ByteBuffer()
    /// For the user: when the request of each place began.
    var started: [UInt64]

    init(_ shared: ClientShared, index: Int, places: Int, user: any StreamUser) {
        (self.shared, self.index, self.user) = (shared, index, user)
        http2 = HTTP2Connection(isServer: false, limits: StreamConnection.limits, now: Reactor.clock())
        streams = Array(repeating: 0, count: places)
        sentBodies = Array(repeating: 0, count: places)
        started = Array(repeating: 0, count: places)
    }

    /// What bounds a hostile peer would only measure itself here.
    private static var limits: HTTP2Limits {
        var limits = HTTP2Limits()
        (limits.streamWindow, limits.connectionWindow) = (streamWindow, connectionWindow)
        limits.maxReplyBytes = 1 << 20
        for abuse in HTTP2Abuse.allCases { limits[abuse] = HTTP2Rate(burst: 1 << 60, perSecond: 1) }
        return limits
    }

    var cipher: String { transport.cipher }
    var places: Range<Int> { streams.indices }

    func open() throws { try transport.open() }

    // MARK: Sending

    /// Sends a request on a free place; it leaves when the turn ends.
    ///
    /// - Parameter lines: pseudo-header fields and fields, each with its CRLF.
    /// - Parameter body: the same for all streams that have one.
    func request(_ place: Int, _ lines: [UInt8], _ method: Method, body: [UInt8] = []) {
        let now = Reactor.clock()
        started[place] = now
        guard let stream = http2.sendRequest(lines.span, method: method, endsStream: body.isEmpty) else {
            return user.streamsFailed("the server takes no stream beside \(http2.streamCount) others")
        }
        streams[place] = stream
        sentBodies[place] = 0
        guard !body.isEmpty else { return }
        self.body = body
        http2.offer(body.count, on: stream, now: now)
        http2.finish(stream)
    }

    private func flush() {
        out.removeAll()
        http2.drainControl(into: &out)
        let now = Reactor.clock()
        while let turn = http2.nextData(room: StreamConnection.sendPiece, now: now) {
            turn.appendHeader(to: &out)
            guard let place = place(of: turn.stream) else { continue }
            let piece = sentBodies[place]..<(sentBodies[place] + turn.count)
            sentBodies[place] = piece.upperBound
            body.withUnsafeBytes { out.append(UnsafeRawBufferPointer(rebasing: $0[piece])) }
        }
        out.withMutableBytes { bytes in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let count = min(rest.count, StreamConnection.sendPiece)
                transport.send(UnsafeRawBufferPointer(rebasing: rest[..<count]))
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }

    // MARK: Receiving

    func connectionOpened(_ connection: LoadConnection) {
        guard connection.applicationProtocol == "h2" else {
            return user.streamsFailed("the server does not choose h2 by ALPN")
        }
        flush()
    }

    func connectionReceived(_ connection: LoadConnection) {
        do throws(HTTP2Error) {
            let consumed = try connection.plaintext.withMutableBytes { bytes throws(HTTP2Error) in
                try take(UnsafeRawBufferPointer(bytes))
            }
            connection.plaintext.consume(consumed)
        } catch {
            return user.streamsFailed("\(error)")
        }
        flush()
    }

    private func take(_ bytes: UnsafeRawBufferPointer) throws(HTTP2Error) -> Int {
        let span = bytes.bindMemory(to: UInt8.self).span
        var position = 0
        let now = Reactor.clock()
        while true {
            switch try http2.receive(span, at: &position, now: now) {
            case .needMore: return position
            case .settings:
                guard !hasSettings else { continue }
                hasSettings = true
                user.streamsOpened(self)
            case .response(let stream, let endsStream): respond(stream, endsStream)
            case .data(let stream, let range, let endsStream):
                try http2.consumed(range.count, of: stream)
                guard let place = place(of: stream) else { continue }
                if !range.isEmpty {
                    user.streamReceived(self, place, UnsafeRawBufferPointer(rebasing: bytes[range]))
                }
                if endsStream { end(stream, place) }
            case .trailers(let stream): if let place = place(of: stream) { end(stream, place) }
            case .reset(let stream, let code, _): user.streamsFailed("stream \(stream) was reset: \(code)")
            case .goAway(_, let code): user.streamsFailed("the server said GOAWAY \(code)")
            case .pong, .request, .tooLarge: break
            }
        }
    }

    private func respond(_ stream: UInt32, _ endsStream: Bool) {
        http2.takeResponse(&head, &headBytes)
        guard let place = place(of: stream), head.status >= 200 else { return }
        guard head.status == 200 else { return user.streamsFailed("status \(head.status)") }
        if case .length(let length) = head.framing {
            user.streamResponded(self, place, length: Int(clamping: length))
        } else {
            user.streamResponded(self, place, length: nil)
        }
        if endsStream { end(stream, place) }
    }

    private func end(_ stream: UInt32, _ place: Int) {
        http2.release(stream)
        streams[place] = 0
        user.streamEnded(self, place)
    }

    /// Streams that stay open are found at once: they have the places in the order of their numbers.
    private func place(of stream: UInt32) -> Int? {
        let guess = Int(stream >> 1) % streams.count
        return streams[guess] == stream ? guess : streams.firstIndex(of: stream)
    }

    func connectionDrained(_ connection: LoadConnection) {}

    func connectionEnded(_ connection: LoadConnection, _ reason: String?) {
        user.streamsFailed(reason ?? "the server closed a connection")
    }
}
