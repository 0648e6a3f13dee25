internal import TunnelCore
internal import TunnelIO

/// The server's side of HTTP/1.1 on one connection (RFC 9112): reads request after request, hands each to its handler as a
/// ``ServerStream``, and frames the responses.
///
/// One request is under way at a time, so the connection itself is the stream; pipelined requests wait unread. Before the next
/// one the client has to have taken the response: whoever does not read his responses gets no more of them, whether they come
/// from an upstream or from ourselves.
final class HTTP1Server: RequestServer {
    /// What a client may take. Durations in nanoseconds.
    struct Limits {
        let head: HeadLimits
        let headerTimeout: UInt64
        let idleTimeout: UInt64
        let bodyTimeout: UInt64
        let sendTimeout: UInt64
    }

    let worker: Worker
    let reader: RequestReader
    private let handler: any RequestHandler
    /// Names the connection in the log.
    let connectionNumber: UInt64
    let clientAddress: [UInt8]
    private(set) var requestNumber: UInt64 = 0

    // One request. Written anew for each.
    private(set) var request = RequestFacts()
    private var minorVersion: UInt8 = 1
    private var snapshot: ProxySnapshot
    /// Those that stand whatever the configuration says; `nil` for the configuration's.
    private let ownLimits: Limits?
    /// The bytes of the head, in memory of its own: what comes behind it is decoded while the head is still needed.
    private var headBytes = ByteBuffer()
    private var body = BodyDecoder(.none)
    private var isPipe = false
    /// Whether another request may follow on this connection.
    private var isPersistent = false
    var observer: (any ServerStreamObserver)?
    /// Called once, when the first request begins.
    var onFirstRequest: (() -> Void)?

    // The response.
    /// A head and small pieces of a body, until they are sent together. Holds memory only then.
    private var gathered = ByteBuffer()
    private var responseFraming = BodyFraming.none
    /// What sending said that did not wait for ``push()``.
    private var room = Room.room

    /// Pieces up to here are copied behind the head or a chunk header, so that they leave in one record and write.
    private static let maxCopied = 12 * 1024

    init(
        _ reader: RequestReader, _ handler: any RequestHandler, number: UInt64, clientAddress: [UInt8],
        on worker: Worker, limits: Limits? = nil
    ) {
        ownLimits = limits
        (self.reader, self.handler, self.worker) = (reader, handler, worker)
        (connectionNumber, self.clientAddress) = (number, clientAddress)
        snapshot = worker.snapshot
        reader.stream.onEnd = { [unowned self] in streamEnded() }
    }

    // MARK: The connection

    /// Serves until the connection is over.
    func serve() async -> ServerOutcome {
        while true {
            snapshot = worker.snapshot
            switch await reader.nextHead(
                headLimits, timeout: ownLimits?.headerTimeout ?? snapshot.headerTimeout,
                idleTimeout: ownLimits?.idleTimeout ?? snapshot.keepAliveTimeout)
            {
            case .head(let size):
                snapshot = worker.snapshot
                begin(size)
                let end = await handler.serve(self)
                finish()
                if end == .cut { return .cut }
                if !reader.stream.hasSentAll, await !isTaken() { return .cut }
                guard isPersistent && body.isComplete && reader.stream.ended == nil else { return .close }
                // Whoever pipelines goes behind everybody else on this loop.
                if !reader.input.isEmpty { await Task.yield() }
            case .malformed(let error): return await refuse(error)
            case .overdue:
                return await refuse(HTTPError(status: 408, reason: "no complete head within header_timeout"))
            case .idle, .ended: return .close
            }
        }
    }

    func takeNoMoreRequests() { reader.stop() }

    func refuseRequests() { reader.stop() }

    /// The next response says it.
    func drainBegins() {}

    func endNow() {
        handler.cancel()
        reader.stop()
    }

    func close() { reader.close() }

    @inline(never)
    private func begin(_ size: Int) {
        requestNumber += 1
        if requestNumber == 1 { onFirstRequest?() }
        request = RequestFacts(
            method: reader.head.method, wantsWebSocket: reader.head.isWebSocketUpgrade, framing: reader.head.framing)
        minorVersion = reader.head.minorVersion
        isPersistent = reader.head.isPersistent
        isPipe = false
        room = .room
        body = BodyDecoder(request.framing, trailerLimits: headLimits)
        headBytes = worker.reactor.buffers.take(atLeast: size)
        reader.input.withBytes { headBytes.append($0.extracting(0..<size)) }
        reader.consume(size)
    }

    private func finish() {
        observer = nil
        releaseHead()
        worker.reactor.buffers.give(&gathered)
    }

    /// Answers a head that cannot be served: what follows it has no certain start.
    @inline(never)
    private func refuse(_ error: HTTPError) async -> ServerOutcome {
        if error.status == 431 { worker.metrics.count(.limit(.headSize)) }
        if error.status == 408 { worker.metrics.count(.limit(.headerTimeout)) }
        worker.log(.warn, "bad request") {
            $0.field("id", connectionNumber)
            $0.field("status", Int(error.status))
            $0.field("reason", error.reason)
        }
        (minorVersion, isPersistent, request) = (1, false, RequestFacts())
        body = BodyDecoder(.none)
        respond(
            OwnResponse(
                status: error.status,
                body: "Refused by the tunnel proxy: \(ErrorResponse.reasonPhrase(error.status))"), dropsBody: false)
        if push() == .full, await !isTaken() { return .cut }
        return .close
    }

    /// Waits until the client has taken the response, which ends with it.
    @inline(never)
    private func isTaken() async -> Bool {
        do throws(IOError) { try await flush() } catch { return false }
        return true
    }

    private func streamEnded() {
        guard let end = reader.stream.ended else { return }
        observer?.clientEnded(end)
    }
}

// MARK: - One request

extension HTTP1Server: ServerStream {
    func withHead(_ body: (inout RequestHead, Span<UInt8>) -> Void) {
        headBytes.withBytes { body(&reader.head, $0) }
    }

    func releaseHead() {
        reader.releaseHead()
        worker.reactor.buffers.give(&headBytes)
    }

    var end: StreamEnd? { reader.stream.ended }
    var streamID: UInt32? { nil }
    /// An exchange waits until its client has taken all.
    var inFlight: Int? { nil }

    // MARK: The request's body

    var isBodyComplete: Bool { body.isComplete }
    // Only this framing has any, and to ask the decoder copies it.
    var trailers: [UInt8] { request.framing == .chunked ? body.trailers : [] }

    func receiveBody(limit: Int, _ take: (UnsafeRawBufferPointer) -> Void) throws(HTTPError) -> BodyProgress {
        if body.isComplete { return .end }
        if reader.input.isEmpty {
            switch reader.receive(limit: limit) {
            case .bytes: break
            case .nothing: return .nothing
            case .end:
                guard isPipe, reader.stream.ended == .orderly else { return .nothing }
                try body.endOfInput()
                return .end
            }
        }
        var failure: HTTPError?
        let (consumed, produced) = reader.input.withMutableBytes { bytes -> (Int, Int) in
            do throws(HTTPError) {
                let (consumed, produced) = try body.decode(
                    inPlace: UnsafeMutableRawBufferPointer(rebasing: bytes[..<min(bytes.count, limit)]))
                if produced > 0 { take(UnsafeRawBufferPointer(rebasing: bytes[..<produced])) }
                return (consumed, produced)
            } catch {
                failure = error
                return (0, 0)
            }
        }
        if let failure { throw failure }
        reader.consume(consumed)
        return .moved(produced)
    }

    func bodyReadable() async -> Bool {
        // A pipe may be silent for as long as it likes.
        await reader.readable(within: isPipe ? 0 : ownLimits?.bodyTimeout ?? snapshot.bodyTimeout)
    }

    func wakeBody() { reader.stream.wake() }

    func becomePipe() {
        isPipe = true
        isPersistent = false
        reader.stream.readsBeforeEnd = true
        body = BodyDecoder(.untilClose)
    }

    // MARK: The response

    func sendInterim(_ head: borrowing ResponseHead, _ bytes: Span<UInt8>) {
        // RFC 9110 §15.2: a 1.0 client must not be sent one.
        guard minorVersion > 0 else { return }
        open()
        head.appendForwarded(bytes, framing: .none, connection: .keepAlive, clientMinorVersion: 1, into: &gathered)
    }

    func sendHead(_ head: borrowing ResponseHead, _ bytes: Span<UInt8>, adding lines: borrowing AddedLines) {
        open()
        var rule = ConnectionRule.upgrade
        var framing = BodyFraming.none
        if head.status == 101 {
            responseFraming = .untilClose
        } else {
            framing = head.framing(forMinorVersion: minorVersion)
            responseFraming = framing
            isPersistent = isPersistent && framing != .untilClose && !worker.shared.isDraining
            rule = isPersistent ? .keepAlive : .close
        }
        lines.lines.withBytes { extra in
            head.appendForwarded(
                bytes, framing: framing, connection: rule, clientMinorVersion: minorVersion,
                replacing: lines.replaced, with: extra, into: &gathered)
        }
    }

    func sendBody(_ buffer: inout ByteBuffer, _ count: Int) {
        guard count > 0 else { return }
        let isChunked = responseFraming == .chunked
        guard count > HTTP1Server.maxCopied else {
            open()
            if isChunked { ChunkedCoding.appendHeader(size: count, into: &gathered) }
            buffer.withBytes { gathered.append($0.extracting(0..<count)) }
            if isChunked { gathered.append(ChunkedCoding.payloadEnd) }
            return
        }
        sendGathered()
        guard isChunked else { return sendInPlace(&buffer, count) }
        // A large chunk is not copied: its header goes right in front of it.
        open()
        ChunkedCoding.appendHeader(size: count, into: &gathered)
        let header = gathered.count
        let isInFront = gathered.withMutableBytes { buffer.prepend(UnsafeRawBufferPointer($0)) }
        if isInFront {
            gathered.removeAll()
            sendInPlace(&buffer, header + count)
            buffer.consume(header)
        } else {
            sendGathered()
            sendInPlace(&buffer, count)
            open()
        }
        gathered.append(ChunkedCoding.payloadEnd)
    }

    func endBody(trailers: [UInt8]) {
        guard responseFraming == .chunked else { return }
        open()
        ChunkedCoding.appendEnd(trailers: trailers, into: &gathered)
    }

    func respond(_ response: OwnResponse, dropsBody: Bool) {
        if dropsBody && !body.isComplete && !reader.input.isEmpty {
            // A request that is refused often has its whole body here already.
            _ = try? receiveBody(limit: reader.input.count) { _ in }
        }
        isPersistent = isPersistent && body.isComplete && !worker.shared.isDraining
        responseFraming = .none
        open()
        ErrorResponse.append(
            status: response.status, body: response.body, extra: response.fields, connectionClose: !isPersistent,
            isHead: request.method == .head, into: &gathered)
    }

    func push() -> Room {
        sendGathered()
        worker.reactor.buffers.give(&gathered)
        defer { room = .room }
        return room
    }

    func flush() async throws(IOError) {
        try await reader.stream.flush(stall: ownLimits?.sendTimeout ?? snapshot.sendTimeout)
    }

    private var headLimits: HeadLimits { ownLimits?.head ?? snapshot.headLimits }

    private func open() {
        if gathered.capacity == 0 { gathered = worker.reactor.buffers.take() }
    }

    private func sendGathered() {
        guard !gathered.isEmpty else { return }
        if reader.stream.send(&gathered) == .full { room = .full }
    }

    private func sendInPlace(_ buffer: inout ByteBuffer, _ count: Int) {
        let sent = buffer.withMutableBytes { reader.stream.send(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        if sent == .full { room = .full }
    }
}
