internal import TunnelCore
internal import TunnelIO

/// One stream of an HTTP/2 connection: a request, and the response that its exchange sends.
///
/// Used again for other streams, with its exchange and the task that both run in: what a request costs is one resumption.
final class HTTP2ServerStream {
    private enum Runner {
        case none
        case waiting(UnsafeContinuation<Void, Never>)
        case running
        case dismissed
    }

    /// How far the response has come.
    private enum Response {
        case open
        /// They go behind the bytes that wait.
        case trailers([UInt8])
        /// The stream's end has been handed to the connection, behind the bytes that wait.
        case ended
    }

    unowned let server: HTTP2Server
    private let exchange: Exchange
    private var runner = Runner.none
    private let worker: Worker

    // One request. Written anew for each.
    private(set) var id: UInt32 = 0
    private(set) var requestNumber: UInt64 = 0
    private(set) var request = RequestFacts()
    private(set) var inFlight: Int?
    private(set) var end: StreamEnd?
    var observer: (any ServerStreamObserver)?
    private var isServing = false
    private var head = RequestHead()
    private var headBytes = ByteBuffer()
    var headSize: Int { headBytes.count }

    /// Of the request's body: what came and was not taken, and whether that is all.
    private var body = ByteBuffer()
    private var isBodyEnded = false
    private(set) var trailers: [UInt8] = []
    private var isPipe = false
    /// What an upstream that takes the WebSocket has to say. The head, with the key, is long gone then.
    private var expectedAccept = ""
    private var bodyWaiter: UnsafeContinuation<Void, Never>?
    private var isBodyOverdue = false
    private lazy var bodyDeadline = Deadline(on: worker.reactor) { [unowned self] in
        isBodyOverdue = true
        wakeBody()
    }

    /// Bytes of the response that wait for their turn.
    private var queue = ByteBuffer()
    private var response = Response.open
    private var flushWaiter: UnsafeContinuation<Void, Never>?

    /// Pieces up to here leave together with those of other streams.
    private static let maxCopied = 12 * 1024

    init(_ server: HTTP2Server, _ exchange: Exchange) {
        (self.server, self.exchange) = (server, exchange)
        worker = server.worker
    }

    // MARK: Its life

    /// Takes over the request that the connection has just read.
    func begin(_ id: UInt32, number: UInt64, endsStream: Bool) {
        reuse(id, number)
        head = worker.heads.takeRequest()
        headBytes = worker.reactor.buffers.take(atLeast: 1)
        server.core.takeRequest(&head, &headBytes)
        let isWebSocket = head.isWebSocketUpgrade
        if isWebSocket {
            let key = WebSocketHandshake.makeKey()
            head.webSocketKey = Array(key.utf8)
            expectedAccept = WebSocketHandshake.accept(forKey: key)
        }
        request = RequestFacts(
            method: head.method, wantsWebSocket: isWebSocket, framing: isWebSocket ? .none : head.framing)
        isBodyEnded = endsStream
        isServing = true
        inFlight = worker.shared.requestBegan()
    }

    /// Serves the request, in the task that served the one before.
    func start() {
        switch runner {
        case .none:
            runner = .running
            worker.reactor.spawn(with: self) { stream in await stream.run() }
        case .waiting(let task):
            runner = .running
            task.resume()
        case .running, .dismissed: break
        }
    }

    private func run() async {
        while true {
            let end = await exchange.serve(self)
            exchangeEnded(end)
            if case .dismissed = runner { return }
            await withUnsafeContinuation { runner = .waiting($0) }
            if case .dismissed = runner { return }
        }
    }

    /// The last byte of the response has gone, or nobody waits for it.
    func settle() {
        if inFlight != nil { worker.shared.requestEnded() }
        inFlight = nil
    }

    /// No other request will come.
    func dismiss() {
        settle()
        let before = runner
        runner = .dismissed
        if case .waiting(let task) = before { task.resume() }
        dropResponse()
    }

    /// Answers a request whose head could not be kept, without an exchange.
    func refuse(_ id: UInt32, number: UInt64, status: UInt16) {
        reuse(id, number)
        respond(
            OwnResponse(
                status: status, body: "Refused by the tunnel proxy: \(ErrorResponse.reasonPhrase(status))"),
            dropsBody: true)
        server.finish(self)
    }

    private func reuse(_ id: UInt32, _ number: UInt64) {
        (self.id, requestNumber, request, end) = (id, number, RequestFacts(), nil)
        (isBodyEnded, isPipe, isBodyOverdue, response) = (false, false, false, .open)
        trailers = []
    }

    private func exchangeEnded(_ end: ResponseEnd) {
        observer = nil
        isServing = false
        releaseHead()
        worker.reactor.buffers.give(&body)
        if end == .whole { endBody(trailers: []) } else { cut() }
        server.finish(self)
        server.exchangeEnded()
    }

    /// The response broke off, which must not look like its end.
    private func cut() {
        if self.end == nil { server.core.reset(id, server.isEnding ? .cancel : .internalError) }
        dropResponse()
    }

    private func dropResponse() {
        worker.reactor.buffers.give(&queue)
        response = .ended
    }

    /// The proxy ends.
    func cancel() {
        guard isServing else { return }
        guard observer != nil else {
            // Its task has not come to it yet: nothing was done, and nothing will be.
            worker.shared.requestCut()
            server.core.reset(id, .refusedStream)
            return reset(.lost)
        }
        exchange.cancel()
        // It may wait for a client who does not read any more.
        wakeSender()
    }

    // MARK: From the connection

    /// A piece of the request's body came.
    func take(_ bytes: Span<UInt8>, _ endsStream: Bool) {
        guard isServing else { return }
        if !bytes.isEmpty {
            if body.capacity == 0 { body = worker.reactor.buffers.take(atLeast: bytes.count) }
            body.append(bytes)
        }
        if endsStream { isBodyEnded = true }
        wakeBody()
    }

    /// The request's body ended with a trailer section.
    func takeTrailers() {
        guard isServing else { return }
        var lines = ByteBuffer()
        server.core.takeTrailers(&lines)
        trailers = lines.array
        isBodyEnded = true
        wakeBody()
    }

    /// The stream has ended before its time.
    func reset(_ reason: StreamEnd) {
        guard end == nil else { return }
        end = reason
        dropResponse()
        observer?.clientEnded(reason)
        wakeBody()
        wakeSender()
        server.schedulePump()
    }

    /// The connection has ended.
    func connectionEnded() {
        // Who has said all that he had to say through a pipe may go.
        reset(isPipe && isBodyEnded ? .orderly : server.stream.ended == .stalled ? .stalled : .lost)
    }

    /// Moves the first bytes that wait to `out`: its turn has come.
    func give(_ count: Int, to out: inout ByteBuffer) {
        queue.withBytes { out.append($0.extracting(0..<count)) }
        queue.consume(count)
        guard queue.isEmpty else { return }
        worker.reactor.buffers.give(&queue)
        if case .trailers(let lines) = response { sendTrailers(lines) }
        wakeSender()
    }

    /// All of it has been handed to the connection.
    var isSent: Bool { if case .ended = response { queue.isEmpty } else { false } }

    /// There is room again, or there will never be.
    func wakeSender() {
        flushWaiter?.resume()
        flushWaiter = nil
    }
}

// MARK: - As an exchange sees it

extension HTTP2ServerStream: ServerStream {
    var connectionNumber: UInt64 { server.connectionNumber }
    var clientAddress: [UInt8] { server.clientAddress }
    var streamID: UInt32? { id }

    func withHead(_ body: (inout RequestHead, Span<UInt8>) -> Void) { headBytes.withBytes { body(&head, $0) } }

    func releaseHead() {
        worker.heads.give(&head)
        worker.reactor.buffers.give(&headBytes)
    }

    // MARK: The request's body

    /// That of a WebSocket has none until it is a pipe.
    var isBodyComplete: Bool { request.wantsWebSocket && !isPipe || isBodyEnded && body.isEmpty }

    func receiveBody(limit: Int, _ take: (UnsafeRawBufferPointer) -> Void) throws(HTTPError) -> BodyProgress {
        guard !body.isEmpty else {
            // Nothing, and the end with it, is what has to be passed on: the end of a body that came behind its last byte.
            return isBodyEnded ? isPipe ? .end : .moved(0) : .nothing
        }
        let count = min(body.count, limit)
        body.withMutableBytes { take(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        body.consume(count)
        if body.isEmpty { worker.reactor.buffers.give(&body) }
        do throws(HTTP2Error) { try server.core.consumed(count, of: id) } catch { server.fail(error) }
        if server.core.controlBytes > 0 { server.schedulePump() }
        return .moved(count)
    }

    func bodyReadable() async -> Bool {
        guard body.isEmpty, !isBodyEnded, end == nil else { return true }
        // A pipe may be silent for as long as it likes.
        if !isPipe, server.snapshot.bodyTimeout > 0 { bodyDeadline.set(after: server.snapshot.bodyTimeout) }
        await withUnsafeContinuation { bodyWaiter = $0 }
        if bodyDeadline.isSet { bodyDeadline.cancel() }
        defer { isBodyOverdue = false }
        return !isBodyOverdue
    }

    func wakeBody() {
        bodyWaiter?.resume()
        bodyWaiter = nil
    }

    func becomePipe() { isPipe = true }

    // MARK: The response

    func sendInterim(_ head: borrowing ResponseHead, _ bytes: Span<UInt8>) {
        server.core.sendResponse(id, status: head.status, head, bytes, adding: AddedLines())
    }

    func sendHead(_ head: borrowing ResponseHead, _ bytes: Span<UInt8>, adding lines: borrowing AddedLines) {
        guard head.status == 101 else {
            // Without a body the head is all: clients count the bytes of one that is empty against Content-Length.
            let isWhole = head.framing.isEmpty
            server.core.sendResponse(id, status: head.status, head, bytes, adding: lines, endsStream: isWhole)
            if isWhole { response = .ended }
            return
        }
        // RFC 6455 §4.1: to the upstream we are the client, who has to check that it was understood.
        guard isAccepted(head, bytes) else {
            server.core.reset(id, .internalError)
            return reset(.lost)
        }
        server.core.sendResponse(id, status: 200, head, bytes, adding: lines)
    }

    private func isAccepted(_ response: borrowing ResponseHead, _ bytes: Span<UInt8>) -> Bool {
        guard let field = response.first(.secWebSocketAccept) else { return false }
        return bytes.extracting(field.value).withUnsafeBytes { $0.elementsEqual(expectedAccept.utf8) }
    }

    func sendBody(_ buffer: inout ByteBuffer, _ count: Int) {
        guard count > 0, end == nil, case .open = response else { return }
        if count > HTTP2ServerStream.maxCopied, queue.isEmpty,
            let sent = server.sendAtOnce(buffer, count, on: id)
        {
            keep(buffer, sent..<count)
        } else if server.core.offer(count, on: id, now: worker.reactor.now) {
            keep(buffer, 0..<count)
        }
    }

    private func keep(_ buffer: borrowing ByteBuffer, _ range: Range<Int>) {
        guard !range.isEmpty else { return }
        if queue.capacity == 0 { queue = worker.reactor.buffers.take(atLeast: range.count) }
        buffer.withBytes { queue.append($0.extracting(range)) }
    }

    func endBody(trailers: [UInt8]) {
        guard case .open = response else { return }
        if trailers.isEmpty {
            response = .ended
            // One that is shorter than its head said has been reset.
            if !server.core.finish(id) { dropResponse() }
        } else if queue.isEmpty {
            sendTrailers(trailers)
        } else {
            response = .trailers(trailers)
        }
    }

    private func sendTrailers(_ lines: [UInt8]) {
        response = .ended
        server.core.sendTrailers(id, lines.span)
    }

    func respond(_ own: OwnResponse, dropsBody: Bool) {
        if dropsBody { worker.reactor.buffers.give(&body) }
        var lines = worker.reactor.buffers.take(atLeast: 256)
        ErrorResponse.appendFields(body: own.body, extra: own.fields, into: &lines)
        lines.withBytes { fields in
            _ = server.core.sendResponse(id, status: own.status, fields, endsStream: request.method == .head)
        }
        lines.removeAll()
        if request.method == .head {
            response = .ended
        } else {
            lines.append(own.body)
            lines.append("\n" as StaticString)
            sendBody(&lines, lines.count)
            endBody(trailers: [])
        }
        worker.reactor.buffers.give(&lines)
    }

    func push() -> Room {
        server.schedulePump()
        return server.sending.isFull || queue.count >= server.snapshot.configuration.limits.bufferSize ? .full : .room
    }

    func flush() async throws(IOError) {
        while true {
            if let end { throw IOError(end == .stalled ? .timedOut : .closed, "http2 stream") }
            if server.isEnding || server.sending.isBroken { throw IOError(.closed, "http2 stream") }
            if queue.isEmpty && !server.sending.isFull { return }
            await withUnsafeContinuation { flushWaiter = $0 }
        }
    }
}
