internal import TunnelCore
internal import TunnelIO

/// The client's side of HTTP/2 for one request: a stream of an ``HTTP2Upstream``.
///
/// A shell that the pools use again, as ``HTTP1Client`` is.
final class HTTP2Client: ClientStream {
    /// How far the request has gone.
    private enum Request {
        /// A WebSocket's stream carries nothing until it is a pipe.
        case head
        case body
        /// They go behind the bytes that wait.
        case trailers([UInt8])
        /// Its end has been handed to the connection, behind the bytes that wait.
        case ended
    }

    /// A head that came while the one before had not been passed on.
    private final class WaitingHead {
        var head = ResponseHead()
        var bytes = ByteBuffer()
    }

    private let worker: Worker
    private var upstream: HTTP2Upstream?
    private var pools: UpstreamPools?
    private(set) var isReused = false
    var mayRefuse: Bool { true }
    /// 0 until the head is sent.
    private(set) var id: UInt32 = 0
    private var failure: ClientStreamError?

    // The request.
    private var request = Request.ended
    /// Bytes of the body that wait for their turn.
    private var queue = ByteBuffer()
    private var maxQueue = 0
    private var flushWaiter: UnsafeContinuation<Void, Never>?
    /// How many bytes the connection had been handed behind the last ones of ours.
    private var lastSent: UInt64 = 0
    /// What a WebSocket server would have to say for HTTP/1.1; empty for other requests.
    private var webSocketAccept = ""

    // The response.
    private var head = ResponseHead()
    private var headBytes = ByteBuffer()
    private var hasHead = false
    private var waiting: [WaitingHead] = []
    private var body = ByteBuffer()
    private var hasBegun = false
    /// The upstream has said all, and did so in order.
    private var isEnded = false
    /// It wants no more of the request.
    private var wasReset = false
    private(set) var trailers: [UInt8] = []
    private var reader: UnsafeContinuation<Void, Never>?

    /// Free in front of a piece of a body, for the header of a chunk.
    private static let headroom = 32
    /// Heads that wait to be passed on; more is an upstream gone wrong.
    private static let maxWaiting = 64

    init(on worker: Worker) { self.worker = worker }

    /// Makes it a stream of `upstream`, which has a place for it.
    func attach(_ upstream: HTTP2Upstream, _ snapshot: ProxySnapshot, from pools: UpstreamPools) {
        isReused = upstream.connection.exchanges > 0
        upstream.attach(snapshot)
        (self.upstream, self.pools) = (upstream, pools)
        maxQueue = snapshot.configuration.limits.bufferSize
        (id, failure, request, lastSent, webSocketAccept) = (0, nil, .body, 0, "")
        (hasHead, hasBegun, isEnded, wasReset, trailers) = (false, false, false, false, [])
    }

    func finish(keeps: Bool) {
        if hasHead { worker.heads.give(&head) }
        for entry in waiting {
            worker.heads.give(&entry.head)
            worker.reactor.buffers.give(&entry.bytes)
        }
        waiting = []
        worker.reactor.buffers.give(&headBytes)
        worker.reactor.buffers.give(&body)
        worker.reactor.buffers.give(&queue)
        guard let upstream = upstream.take(), let pools = pools.take() else { return }
        upstream.detach(id)
        pools.take(self)
    }

    var address: SocketAddress { upstream?.connection.address ?? .unix(path: "") }
    /// The connection is another's matter: what counts is whether the upstream still wants what is left of the request.
    var isPersistent: Bool { !wasReset && failure == nil }

    // MARK: The request

    func sendHead(
        _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ rules: ForwardingRules,
        adding lines: borrowing AddedLines
    ) {
        guard let upstream else { return }
        let isWebSocket = rules.passesUpgrade && head.isWebSocketUpgrade
        let endsStream = !isWebSocket && rules.framing.isEmpty
        if isWebSocket { webSocketAccept = head.webSocketAccept(bytes) }
        var text = worker.reactor.buffers.take(atLeast: bytes.count + 512)
        lines.lines.withBytes { extra in
            head.appendForwarded(
                bytes, host: rules.host, framing: rules.framing, upgrade: rules.passesUpgrade,
                forwarded: rules.forwarded, replacing: lines.replaced, others: lines.otherNames,
                with: extra, into: &text)
        }
        let opened = text.withBytes {
            upstream.open(self, $0, isWebSocket: isWebSocket, endsStream: endsStream, from: head, bytes)
        }
        worker.reactor.buffers.give(&text)
        id = opened ?? 0
        request = opened == nil || endsStream ? .ended : isWebSocket ? .head : .body
        // Between the choice of the connection and now it has become another's, or was told to end.
        if opened == nil { failure = failure ?? .unprocessed(IOError(.closed, "http2 stream")) }
    }

    func sendBody(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0, case .body = request, failure == nil, !wasReset, let upstream else { return }
        if queue.capacity == 0 { queue = worker.reactor.buffers.take(atLeast: bytes.count) }
        queue.append(bytes)
        if !upstream.core.offer(bytes.count, on: id, now: worker.reactor.now) { brokenBody() }
    }

    func endBody(trailers: [UInt8]) {
        guard case .body = request, let upstream else { return }
        if trailers.isEmpty {
            request = .ended
            if !upstream.core.finish(id) { brokenBody() }
        } else if queue.isEmpty {
            sendTrailers(trailers)
        } else {
            request = .trailers(trailers)
        }
    }

    private func sendTrailers(_ lines: [UInt8]) {
        request = .ended
        if upstream?.core.sendTrailers(id, lines.span) == false { brokenBody() }
    }

    /// The body is not as long as its head says, so its stream was reset; or that had ended already.
    private func brokenBody() {
        let cause = IOError(.closed, "http2 stream", detail: "request does not fit its content-length")
        fail(hasBegun ? .broken(cause) : .unanswered(cause))
    }

    func push() -> Room {
        guard let upstream else { return .room }
        upstream.schedulePump()
        if failure != nil || wasReset { return .full }
        return upstream.sending.isFull || queue.count >= maxQueue ? .full : .room
    }

    func flush() async throws(IOError) {
        while true {
            if failure != nil || wasReset { throw IOError(.closed, "http2 stream") }
            guard let upstream else { throw IOError(.closed, "http2 stream") }
            if queue.isEmpty && !upstream.sending.isFull { return }
            await withUnsafeContinuation { flushWaiter = $0 }
        }
    }

    var hasUnsent: Bool { !queue.isEmpty }

    func finishSending() {
        endBody(trailers: [])
        upstream?.schedulePump()
    }

    var unacknowledged: Int {
        guard let upstream else { return 0 }
        let (total, left) = (upstream.sending.total, UInt64(upstream.connection.socket.unacknowledged))
        let arrived = total > left ? total - left : 0
        return queue.count + (lastSent > arrived ? Int(lastSent - arrived) : 0)
    }

    // MARK: From the connection

    /// Moves the first bytes that wait to `out`: its turn has come.
    func give(_ count: Int, to out: inout ByteBuffer) {
        queue.withBytes { out.append($0.extracting(0..<count)) }
        queue.consume(count)
        lastSent = (upstream?.sending.total ?? 0) &+ UInt64(out.count)
        guard queue.isEmpty else { return }
        worker.reactor.buffers.give(&queue)
        if case .trailers(let lines) = request { sendTrailers(lines) }
        wakeSender()
    }

    /// There is room again, or there will never be.
    func wakeSender() {
        flushWaiter?.resume()
        flushWaiter = nil
    }

    /// A head came, interim or final.
    func takeHead(_ endsStream: Bool) {
        guard let upstream else { return }
        hasBegun = true
        if endsStream { isEnded = true }
        if !hasHead {
            hasHead = true
            head = worker.heads.takeResponse()
            headBytes = worker.reactor.buffers.take(atLeast: 1)
            upstream.core.takeResponse(&head, &headBytes)
            switchProtocol(&head, &headBytes)
        } else if waiting.count < HTTP2Client.maxWaiting {
            let entry = WaitingHead()
            entry.head = worker.heads.takeResponse()
            entry.bytes = worker.reactor.buffers.take(atLeast: 1)
            upstream.core.takeResponse(&entry.head, &entry.bytes)
            switchProtocol(&entry.head, &entry.bytes)
            waiting.append(entry)
        } else {
            cut(.malformed(HTTPError(status: 502, reason: "too many 1xx responses")))
        }
        wake()
    }

    /// What accepts a WebSocket by HTTP/2, a 2xx (RFC 8441 §5), becomes the 101 that it is by HTTP/1.1.
    private func switchProtocol(_ head: inout ResponseHead, _ bytes: inout ByteBuffer) {
        guard !webSocketAccept.isEmpty, !head.isInformational else { return }
        guard 200..<300 ~= head.status else {
            // There will be no pipe.
            request = .ended
            upstream?.core.finish(id)
            return
        }
        var text = worker.reactor.buffers.take(atLeast: bytes.count + 256)
        bytes.withBytes { head.appendSwitch($0, accept: webSocketAccept, into: &text) }
        head.reset()
        // The connection's limits have been kept, and three lines were added.
        let limits = HeadLimits(maxBytes: text.count, maxFields: .max)
        let isRead = text.withBytes { (try? head.parse($0, limits: limits, requestMethod: .get)) != nil }
        swap(&bytes, &text)
        worker.reactor.buffers.give(&text)
        if !isRead { cut(.malformed(HTTPError(status: 502, reason: "malformed response to CONNECT"))) }
    }

    /// A piece of the body came.
    func takeBody(_ bytes: Span<UInt8>, _ endsStream: Bool) {
        if !bytes.isEmpty {
            if body.capacity == 0 {
                body = worker.reactor.buffers.take(atLeast: bytes.count + HTTP2Client.headroom)
                body.removeAll(headroom: HTTP2Client.headroom)
            }
            body.append(bytes)
        }
        if endsStream { isEnded = true }
        wake()
    }

    /// The body ended with a trailer section.
    func takeTrailers() {
        var lines = ByteBuffer()
        upstream?.core.takeTrailers(&lines)
        trailers = lines.array
        isEnded = true
        wake()
    }

    /// The stream has ended before its time; `error` says why, where that was our doing.
    func reset(_ code: HTTP2ErrorCode, _ error: HTTP2Error?) {
        wasReset = true
        wakeSender()
        // RFC 9113 §8.1: a response that is whole stays so, and the rest of the request is not wanted.
        if isEnded { return wake() }
        if let error { return fail(.malformed(HTTPError(status: 502, reason: error.reason))) }
        let cause = IOError(.closed, "http2 stream", detail: "reset by the upstream: \(code)")
        if code == .refusedStream || code == .http11Required { refuse(cause) } else { fail(.broken(cause)) }
    }

    /// The upstream says that it did nothing with the request.
    func refuse(_ cause: IOError) { fail(hasBegun ? .broken(cause) : .unprocessed(cause)) }

    func connectionEnded(_ error: IOError) {
        // A stream that has no end was cut off, also where the connection's end was in order.
        fail(hasBegun ? .broken(IOError(.closed, "http2 connection")) : .unanswered(error))
    }

    func fail(_ error: ClientStreamError) {
        // A response that is whole stays so.
        if isEnded { wasReset = true } else if failure == nil { failure = error }
        wakeSender()
        wake()
    }

    // MARK: The response

    func receiveHead(_ method: Method, _ limits: HeadLimits) throws(ClientStreamError) -> ResponseProgress {
        if hasHead { return head.isInformational ? .interim : .final }
        if let failure { throw failure }
        return .nothing
    }

    func withHead(_ body: (inout ResponseHead, Span<UInt8>) -> Void) { headBytes.withBytes { body(&head, $0) } }

    func releaseHead() {
        hasHead = false
        worker.heads.give(&head)
        worker.reactor.buffers.give(&headBytes)
        guard !waiting.isEmpty else { return }
        let next = waiting.removeFirst()
        hasHead = true
        swap(&head, &next.head)
        swap(&headBytes, &next.bytes)
    }

    func becomePipe() { if case .head = request { request = .body } }

    func receiveBody(
        isReading: Bool, limit: Int, _ deliver: (inout ByteBuffer, Int) -> Void
    ) throws(ClientStreamError) -> BodyProgress {
        guard !body.isEmpty else {
            if isEnded { return .end }
            if let failure, isReading { throw failure }
            return .nothing
        }
        let count = min(body.count, limit)
        deliver(&body, count)
        body.consume(count)
        if body.isEmpty { worker.reactor.buffers.give(&body) }
        if let upstream {
            do throws(HTTP2Error) { try upstream.core.consumed(count, of: id) } catch { upstream.fail(error) }
            if upstream.core.controlBytes > 0 { upstream.schedulePump() }
        }
        return .moved(count)
    }

    var isBodyComplete: Bool { isEnded && body.isEmpty }

    func resumeWhenReadable(_ waiter: UnsafeContinuation<Void, Never>) {
        if hasHead || !body.isEmpty || isEnded || failure != nil { return waiter.resume() }
        reader = waiter
    }

    func wake() {
        reader?.resume()
        reader = nil
    }

    // MARK: The end

    func close(_ reason: IOError) { cut(.broken(reason)) }

    func cut(_ reason: IOError) { cut(hasBegun ? .broken(reason) : .unanswered(reason)) }

    private func cut(_ error: ClientStreamError) {
        fail(error)
        guard let upstream, id > 0 else { return }
        wasReset = true
        upstream.core.reset(id, .cancel)
        upstream.schedulePump()
        wakeSender()
    }
}
