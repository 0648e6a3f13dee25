internal import Synchronization
internal import TunnelCore
internal import TunnelIO

/// One request and its answer, from its head to its log line. A session has one and uses it again for each request.
///
/// ``run(_:headSize:number:)`` is the way of a request through the proxy, step by step. The steps for the body are in
/// Exchange+Upload.swift and Exchange+Answer.swift.
final class Exchange {
    /// What becomes of the tunnel afterwards.
    enum Next {
        case keepAlive
        /// It ends in order: what was sent is whole.
        case close
        /// It ends as an error, so that what was sent is not taken for whole.
        case cut
    }

    /// What later steps need of a request, when its head is gone.
    struct Request {
        var method = Method.other
        var minorVersion: UInt8 = 1
        var isPersistent = false
        var wantsUpgrade = false
        var framing = BodyFraming.none
    }

    enum Upload: Equatable {
        case idle, running, done
        /// The client's body broke RFC 9112.
        case malformed
        /// The upstream takes no more of it.
        case refused
    }

    private unowned let session: TunnelSession
    let loop: ProxyLoop
    let reactor: Reactor
    let state: ProxyState

    var request = Request()
    var record = ExchangeRecord()
    var labels = RequestLabels()
    private var routeName: String?

    // The way up.
    var stream: TunnelStream?
    var connection: ClientConnection?
    /// The head for the upstream, and what of the body came with it.
    private var outgoing = ByteBuffer()
    private var outgoingHasBody = false
    var requestBody = BodyDecoder(.none)
    var upload = Upload.idle
    /// Body bytes went up that `outgoing` does not hold, so the request cannot be sent again.
    var uploadHasSent = false
    var isUploadCancelled = false
    var uploadWaiter: UnsafeContinuation<Void, Never>?
    /// What had gone up when the upload was last looked at, and the next look.
    var uploadSeen: UInt64 = 0
    var uploadPatienceTime: UInt64 = 0
    private(set) lazy var uploadPatience = Deadline { [unowned self] in checkUpload() }
    /// The upstream has switched protocols: from then on both ways carry bytes without a frame.
    var isPipe = false
    /// Ends the lookup, the connect or the handshake that is under way.
    private let dial = Cancellation()

    // The way down.
    var inbound = ByteBuffer()
    /// A head and small pieces of a body, until they are sent together. Holds memory only then.
    var outbox = ByteBuffer()
    private var isHeaderOverdue = false
    private var isAwaitingHead = false
    private lazy var headerDeadline = Deadline { [unowned self] in
        isHeaderOverdue = true
        connection?.close(IOError(.timedOut, "read"))
    }

    /// A head and a body up to here go to the upstream in one write.
    private static let maxOutgoing = 32 * 1024

    init(_ session: TunnelSession) {
        self.session = session
        loop = session.loop
        reactor = session.reactor
        state = session.state
    }

    /// Serves the request whose head is in `loop.requestHead`.
    func run(_ stream: TunnelStream, headSize: Int, number: UInt64) async -> Next {
        self.stream = stream
        let snapshot = state.snapshot
        let inFlight = state.requests.add(1, ordering: .relaxed).newValue
        begin(stream, number, snapshot)
        stream.onEnd = whenClientEnds

        // 1 route
        let authority = loop.requestHead.authority
        let route = stream.plaintext.withBytes { snapshot.route(for: $0.extracting(authority)) }
        routeName = route.map { snapshot.routes[$0].name }
        logStart()

        let next: Next
        if inFlight > snapshot.configuration.limits.maxRequests {
            stream.consume(headSize)
            next = answer(503, "Too many requests in flight", .limit, extra: [("Retry-After", "1")])
        } else if let route {
            next = await serve(stream, headSize, snapshot, route)
        } else {
            stream.consume(headSize)
            state.log(.warn, "no route for host") { line in
                labels.writeID(to: &line)
                labels.writeHost(to: &line)
            }
            loop.metrics.requestsWithoutRoute += 1
            next = answer(502, "No route configured for host", .refused)
        }
        state.requestEnded()
        await stopUpload()
        stream.onEnd = nil
        finish()
        return next
    }

    /// Made once, because a closure is an allocation.
    private lazy var whenClientEnds: () -> Void = { [unowned self] in clientEnded() }

    /// The far side has ended, and so does what runs on its behalf.
    private func clientEnded() {
        dial.cancel()
        if isPipe, let stream, stream.end == .closed, !stream.plaintext.isEmpty {
            // The upload delivers what was said before the end, and closes then.
            reactor.set(headerDeadline, after: Exchange.pipeEndTimeout)
        } else {
            connection?.close(IOError(.closed, "client"))
        }
    }

    /// How long an upstream may take to accept a pipe's last bytes.
    private static let pipeEndTimeout: UInt64 = 5_000_000_000

    /// Ends the exchange because the proxy is shutting down.
    func cancel() {
        guard stream != nil else { return }
        record.end = .shutdown
        dial.cancel()
        connection?.close(IOError(.closed, "shutdown"))
        isUploadCancelled = true
    }

    // MARK: Steps 2 to 7

    private func serve(
        _ stream: TunnelStream, _ headSize: Int, _ snapshot: ProxySnapshot, _ index: Int
    ) async -> Next {
        let upstream = snapshot.routes[index].upstream
        guard request.method != .connect else {
            stream.consume(headSize)
            return answer(501, "CONNECT is not supported", .badRequest)
        }
        do throws(HTTPError) { try takeRequest(stream, headSize, snapshot, index) } catch {
            return answer(error.status, "Malformed request body", .badRequest)
        }

        var isRetry = false
        while true {
            // 2 connect
            if stream.end != nil { return clientGone() }
            let connection: ClientConnection
            do throws(LeaseError) {
                connection = try await loop.upstreams.lease(upstream, snapshot, fresh: isRetry, cancellation: dial)
            } catch {
                if stream.end != nil { return clientGone() }
                return record.end == .shutdown ? abandoned() : refused(error)
            }
            self.connection = connection
            record.upstream = connection.address
            if stream.end != nil { return clientGone() }
            if record.end == .shutdown { return abandoned() }
            let isReused = connection.exchanges > 0
            connection.exchanges += 1

            // 3 head and 4 up
            do throws(IOError) {
                try outgoing.withMutableBytes { bytes throws(IOError) in
                    try connection.send(UnsafeRawBufferPointer(bytes))
                }
            } catch {}  // What the upstream said before it stopped reading is read below.
            if !requestBody.isComplete && upload == .idle { startUpload(snapshot) }

            // 5 answer
            switch await receiveHead(connection, snapshot) {
            case .head(let size):
                reactor.buffers.give(&outgoing)
                // 6 down and 7 end
                return await relayAnswer(connection, of: upstream, headSize: size, snapshot)
            case .nothing(let error):
                let isReplayable =
                    !uploadHasSent && upload != .malformed
                    && (!outgoingHasBody || request.method.isIdempotent)
                if isReused && !isRetry && isReplayable && stream.end == nil && !isHeaderOverdue
                    && record.end != .shutdown
                {
                    isRetry = true
                    loop.metrics.poolRetries += 1
                    connection.close()
                    await resetUpload()
                    continue
                }
                return noAnswer(error)
            case .broken(let error): return noAnswer(error)
            case .malformed(let error):
                state.log(.warn, "malformed answer from upstream") { line in
                    labels.writeID(to: &line)
                    line.field("reason", error.reason)
                }
                return answer(502, "The upstream sent a malformed answer", .upstreamFailed)
            }
        }
    }

    /// Turns the client's head into the upstream's, and takes what of the body came with it.
    private func takeRequest(
        _ stream: TunnelStream, _ headSize: Int, _ snapshot: ProxySnapshot, _ route: Int
    ) throws(HTTPError) {
        // What is added to a head is less than this; a body that has come already may go with it.
        outgoing = reactor.buffers.take(atLeast: stream.plaintext.count + 512)
        let forwarded = snapshot.configuration.upstream.forwardedHeaders ? session.forwardedFields : nil
        stream.plaintext.withBytes { bytes in
            loop.requestHead.appendForwarded(
                bytes, host: snapshot.hostRules[route], framing: request.framing, upgrade: request.wantsUpgrade,
                forwarded: forwarded, into: &outgoing)
        }
        stream.consume(headSize)
        outgoingHasBody = false
        guard !requestBody.isComplete, !stream.plaintext.isEmpty, stream.plaintext.count <= Exchange.maxOutgoing else {
            return
        }
        let consumed = try stream.plaintext.withMutableBytes { bytes throws(HTTPError) in
            let (consumed, produced) = try requestBody.decode(inPlace: bytes)
            appendBody(UnsafeRawBufferPointer(rebasing: bytes[..<produced]), to: &outgoing)
            outgoingHasBody = produced > 0
            return consumed
        }
        stream.consume(consumed)
    }

    /// Appends a piece of the request's body as the upstream is to get it, and its end where it ends.
    func appendBody(_ payload: UnsafeRawBufferPointer, to buffer: inout ByteBuffer) {
        record.bytesIn += UInt64(payload.count)
        guard request.framing == .chunked else { return buffer.append(payload) }
        if payload.count > 0 {
            ChunkedEncoding.appendHeader(size: payload.count, into: &buffer)
            buffer.append(payload)
            buffer.append(ChunkedEncoding.payloadEnd)
        }
        if requestBody.isComplete { ChunkedEncoding.appendEnd(trailers: requestBody.trailers, into: &buffer) }
    }

    // MARK: Step 5

    private enum HeadOutcome {
        case head(Int)
        /// The connection ended before a byte of an answer.
        case nothing(IOError)
        /// It ended after some.
        case broken(IOError)
        case malformed(HTTPError)
    }

    /// 1xx answers passed on for one request; more is an upstream gone wrong.
    private static let maxInformational = 64

    /// Waits for the final head, which is left in `loop.responseHead`, its bytes at the front of `inbound`.
    private func receiveHead(_ connection: ClientConnection, _ snapshot: ProxySnapshot) async -> HeadOutcome {
        isAwaitingHead = true
        defer {
            isAwaitingHead = false
            headerDeadline.cancel()
        }
        if upload != .running { awaitHead(snapshot) }
        let limit = max(snapshot.configuration.limits.bufferSize, snapshot.headLimits.maxBytes)
        var informational = 0
        var hasAnswered = false
        while true {
            do throws(IOError) {
                switch try receive(connection, limit: limit) {
                case .bytes: hasAnswered = true
                case .end:
                    let error = IOError(.endOfStream, "read")
                    return hasAnswered ? .broken(error) : .nothing(error)
                case .nothing:
                    await connection.readable()
                    continue
                }
            } catch {
                return hasAnswered ? .broken(error) : .nothing(error)
            }
            do throws(HTTPError) {
                while !inbound.isEmpty {
                    loop.responseHead.reset()
                    let size = try inbound.withBytes { bytes throws(HTTPError) in
                        try loop.responseHead.parse(bytes, limits: snapshot.headLimits, requestMethod: request.method)
                    }
                    guard let size else { break }
                    if !loop.responseHead.isInformational {
                        record.firstByte = reactor.now
                        return .head(size)
                    }
                    informational += 1
                    guard informational <= Exchange.maxInformational else {
                        throw HTTPError(status: 502, reason: "too many 1xx answers")
                    }
                    passOnInformational(size)
                }
            } catch {
                return .malformed(error)
            }
        }
    }

    /// The request is with the upstream: from now on its answer may be overdue.
    func awaitHead(_ snapshot: ProxySnapshot) {
        guard isAwaitingHead, snapshot.responseHeaderTimeout > 0 else { return }
        reactor.set(headerDeadline, after: snapshot.responseHeaderTimeout)
    }

    private func passOnInformational(_ size: Int) {
        // RFC 9110 §15.2: a 1.0 client must not be sent one.
        if request.minorVersion > 0 {
            openOutbox()
            inbound.withBytes { bytes in
                loop.responseHead.appendForwarded(
                    bytes, framing: .none, connection: .keepAlive, clientMinorVersion: 1, into: &outbox)
            }
            sendOutbox()
        }
        inbound.consume(size)
    }

    /// Reads what the upstream has sent into `inbound`, which holds memory only while it holds bytes.
    func receive(_ connection: ClientConnection, limit: Int) throws(IOError) -> ClientConnection.Received {
        if inbound.capacity == 0 { inbound = reactor.buffers.take() }
        if inbound.isEmpty { inbound.removeAll(headroom: Exchange.headroom) }
        defer { if inbound.isEmpty { reactor.buffers.give(&inbound) } }
        return try connection.receive(into: &inbound, limit: limit)
    }

    func openOutbox() {
        if outbox.capacity == 0 { outbox = reactor.buffers.take() }
    }

    /// Sends what was gathered and gives the memory back.
    func sendOutbox() {
        if !outbox.isEmpty { stream?.send(&outbox) }
        reactor.buffers.give(&outbox)
    }

    /// Room for a chunk header in front of a body's piece.
    private static let headroom = 32

    // MARK: Ends without an answer from the upstream

    /// Answers by ourselves. The tunnel is kept only if the next request's start is certain.
    func answer(
        _ status: UInt16, _ body: String, _ end: ExchangeRecord.End,
        extra: [(name: String, value: String)] = []
    ) -> Next {
        if record.end == .shutdown { return .cut }
        record.status = status
        record.end = end
        guard let stream, stream.end == nil else { return clientGone() }
        dropBufferedBody(stream)
        let isKept = request.isPersistent && requestBody.isComplete && upload != .running && !isDraining
        openOutbox()
        ErrorResponse.append(
            status: status, body: body, extra: extra, connectionClose: !isKept, isHead: request.method == .head,
            into: &outbox)
        sendOutbox()
        record.firstByte = reactor.now
        return isKept ? .keepAlive : .close
    }

    /// A request that is refused often has its whole body here already: then the connection can go on.
    private func dropBufferedBody(_ stream: TunnelStream) {
        guard !requestBody.isComplete, upload == .idle, !stream.plaintext.isEmpty else { return }
        let consumed = stream.plaintext.withMutableBytes { bytes in
            (try? requestBody.decode(inPlace: bytes).consumed) ?? 0
        }
        stream.consume(consumed)
    }

    var isDraining: Bool { state.isDraining.load(ordering: .relaxed) }

    func clientGone() -> Next {
        if record.end != .shutdown { record.end = .clientGone }
        return .cut
    }

    func abandoned() -> Next { .cut }

    private func refused(_ error: LeaseError) -> Next {
        state.log(.warn, error.logMessage) { line in
            labels.writeID(to: &line)
            if let routeName { line.field("route", routeName) }
            error.writeFields(to: &line)
        }
        if case .refused(_, let refusal) = error { loop.metrics.countRefusal(refusal) }
        return answer(error.status, error.body, error.end)
    }

    private func noAnswer(_ error: IOError) -> Next {
        if stream?.end != nil { return clientGone() }
        if record.end == .shutdown { return abandoned() }
        if upload == .malformed { return answer(400, "Malformed request body", .badRequest) }
        state.log(.warn, "no answer from upstream") { line in
            labels.writeID(to: &line)
            line.field("route", routeName ?? "")
            line.field("upstream", record.upstream.map { "\($0)" } ?? "")
            line.field("error", isHeaderOverdue ? "response_header_timeout passed" : error.description)
        }
        return isHeaderOverdue
            ? answer(504, "The upstream did not answer in time", .timeout)
            : answer(502, "The upstream closed the connection without a whole answer", .upstreamFailed)
    }

    // MARK: Start and finish

    private func begin(_ stream: TunnelStream, _ number: UInt64, _ snapshot: ProxySnapshot) {
        let head = loop.requestHead
        request = Request(
            method: head.method, minorVersion: head.minorVersion, isPersistent: head.isPersistent,
            wantsUpgrade: head.isWebSocketUpgrade, framing: head.framing)
        requestBody = BodyDecoder(head.framing, trailerLimits: snapshot.headLimits)
        record = ExchangeRecord()
        record.started = reactor.now
        routeName = nil
        upload = .idle
        uploadHasSent = false
        isUploadCancelled = false
        isHeaderOverdue = false
        isPipe = false
        dial.reset()
        stream.plaintext.withBytes { labels.take(connection: session.number, request: number, head, of: $0) }
    }

    private func finish() {
        reactor.remove(headerDeadline)
        if let connection { connection.close() }
        connection = nil
        reactor.buffers.give(&inbound)
        reactor.buffers.give(&outgoing)
        reactor.buffers.give(&outbox)
        countMetrics()
        logFinish()
        labels.release()
        stream = nil
    }

    private func countMetrics() {
        loop.metrics.requests += 1
        loop.metrics.bytesUp += record.bytesIn
        loop.metrics.bytesDown += record.bytesOut
        if record.status > 0 { loop.metrics.countResponse(status: Int(record.status)) }
        if record.end == .limit { loop.metrics.requestsOverLimit += 1 }
        if record.end != .complete { loop.metrics.exchangesAborted += 1 }
    }

    private func logStart() {
        state.log(.info, "request started") { line in
            labels.writeID(to: &line)
            if let routeName { line.field("route", routeName) }
            labels.write(to: &line)
        }
    }

    private func logFinish() {
        let now = Reactor.clock()
        state.log(.info, "request finished") { line in
            labels.writeID(to: &line)
            if let routeName { line.field("route", routeName) }
            labels.write(to: &line)
            line.field("status", Int(record.status))
            if let upstream = record.upstream {
                if case .ip(let address, let port) = upstream {
                    line.field("upstream", address, port: port)
                } else {
                    line.field("upstream", "\(upstream)")
                }
            }
            line.field("bytes_in", record.bytesIn)
            line.field("bytes_out", record.bytesOut)
            if record.firstByte > 0 {
                line.field("ttfb_ms", milliseconds: .nanoseconds(Int64(record.firstByte &- record.started)))
            }
            line.field("duration_ms", milliseconds: .nanoseconds(Int64(now &- record.started)))
            line.field("end", record.end.rawValue)
        }
    }
}
