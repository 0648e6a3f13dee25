internal import TunnelCore
internal import TunnelIO

/// The client's side of HTTP/1.1 on one connection to an upstream (RFC 9112), for one request and its response.
///
/// A shell that the pools use again with another connection: the buffers and the head's storage are taken when bytes come and
/// given back when they have been passed on, so a response that is silent for an hour holds none.
final class HTTP1Client: ClientStream {
    /// Where the connection comes from and goes back to.
    private struct Origin {
        let pools: UpstreamPools
        /// Its index in the snapshot.
        let route: Int
        let snapshot: ProxySnapshot
        let owner: UInt64
    }

    private let worker: Worker
    private var connection: ClientConnection?
    private var origin: Origin?
    private(set) var isReused = false
    var mayRefuse: Bool { false }

    // The request.
    private var requestFraming = BodyFraming.none
    /// The request is not one that could be sent.
    private var isRefused = false
    /// A head and the first bytes of its body, until they are sent together.
    private var gathered = ByteBuffer()
    private var room = Room.room

    // The response.
    /// Received and not consumed, with room for a chunk header in front of a body's piece.
    private var input = ByteBuffer()
    private var head = ResponseHead()
    private var hasHead = false
    private var headSize = 0
    private var body = BodyDecoder(.none)
    private var hasBegun = false
    private(set) var isPersistent = false
    /// Seconds after which the upstream says that it will end an idle connection.
    private var keepAliveTimeout: Int?

    private static let headroom = 32
    /// Pieces of a body up to here are copied behind what was gathered.
    private static let maxCopied = 12 * 1024

    init(on worker: Worker) { self.worker = worker }

    /// Makes it the client's side of `connection`, which goes back to `pools` in the end.
    ///
    /// - Parameter owner: the number of the client's connection.
    func attach(
        _ connection: ClientConnection, to route: Int, _ snapshot: ProxySnapshot, owner: UInt64,
        from pools: UpstreamPools
    ) {
        self.connection = connection
        origin = Origin(pools: pools, route: route, snapshot: snapshot, owner: owner)
        isReused = connection.exchanges > 0
        connection.exchanges += 1
        (hasBegun, hasHead, isPersistent, headSize, keepAliveTimeout) = (false, false, false, 0, nil)
        (body, requestFraming, room, isRefused) = (BodyDecoder(.none), .none, .room, false)
    }

    func finish(keeps: Bool) {
        let isDrained = body.isComplete && input.isEmpty
        if hasHead { worker.heads.give(&head) }
        worker.reactor.buffers.give(&input)
        worker.reactor.buffers.give(&gathered)
        guard let connection = connection.take(), let origin = origin.take() else { return }
        origin.pools.take(self)
        // Something unasked for behind the response could be taken for the next one.
        guard keeps, isPersistent, isDrained else { return connection.close() }
        origin.pools.park(
            connection, origin.route, origin.snapshot, owner: origin.owner, keepAliveTimeout: keepAliveTimeout)
    }

    var address: SocketAddress { connection?.address ?? .unix(path: "") }

    // MARK: The request

    func sendHead(
        _ head: borrowing RequestHead, _ bytes: Span<UInt8>, _ rules: ForwardingRules,
        adding lines: borrowing AddedLines
    ) {
        requestFraming = rules.framing
        if head.bindsConnection { connection?.isBound = true }
        open(bytes.count + 512)
        lines.lines.withBytes { extra in
            head.appendForwarded(
                bytes, host: rules.host, framing: rules.framing, upgrade: rules.passesUpgrade,
                forwarded: rules.forwarded, replacing: lines.replaced, others: lines.otherNames, with: extra,
                into: &gathered)
        }
        if rules.isTranslated, !gathered.withBytes({ $0.isOneHead }) {
            // Nothing of it is sent, nor of what would follow.
            worker.reactor.buffers.give(&gathered)
            isRefused = true
        }
    }

    func sendBody(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 0, !isRefused else { return }
        if requestFraming == .chunked {
            open(bytes.count + ChunkedCoding.maxHeaderSize + 2)
            ChunkedCoding.appendHeader(size: bytes.count, into: &gathered)
            gathered.append(bytes)
            gathered.append(ChunkedCoding.payloadEnd)
        } else if bytes.count <= HTTP1Client.maxCopied || !gathered.isEmpty {
            open(bytes.count)
            gathered.append(bytes)
        } else if connection?.send(bytes) == .full {
            room = .full
        }
    }

    func endBody(trailers: [UInt8]) {
        guard requestFraming == .chunked, !isRefused else { return }
        open(trailers.count + 8)
        ChunkedCoding.appendEnd(trailers: trailers, into: &gathered)
    }

    func push() -> Room {
        if !gathered.isEmpty, connection?.send(&gathered) == .full { room = .full }
        worker.reactor.buffers.give(&gathered)
        defer { room = .room }
        return room
    }

    func flush() async throws(IOError) {
        guard let connection else { throw IOError(.closed, "write") }
        try await connection.flush(stall: 0)
    }

    var hasUnsent: Bool { false }

    func finishSending() { connection?.shutdownWrite() }

    var unacknowledged: Int { connection?.socket.unacknowledged ?? 0 }

    private func open(_ count: Int) {
        if gathered.capacity == 0 { gathered = worker.reactor.buffers.take(atLeast: count) }
    }

    // MARK: The response

    func receiveHead(_ method: Method, _ limits: HeadLimits) throws(ClientStreamError) -> ResponseProgress {
        if isRefused { throw .malformed(HTTPError(status: 502, reason: "request that HTTP/1.1 cannot carry")) }
        let limit = max(BufferPool.bufferSize - HTTP1Client.headroom, limits.maxBytes + 1024)
        while true {
            if !input.isEmpty {
                if !hasHead { head = worker.heads.takeResponse() }
                hasHead = true
                do throws(HTTPError) {
                    if let size = try parse(method, limits) {
                        headSize = size
                        if head.bindsConnection { connection?.isBound = true }
                        return head.isInformational ? .interim : .final
                    }
                } catch { throw .malformed(error) }
            }
            do throws(IOError) {
                switch try receive(limit: limit) {
                case .bytes: hasBegun = true
                case .nothing: return .nothing
                case .end: throw IOError(.endOfStream, "read")
                }
            } catch { throw hasBegun ? .broken(error) : .unanswered(error) }
        }
    }

    private func parse(_ method: Method, _ limits: HeadLimits) throws(HTTPError) -> Int? {
        var failure: HTTPError?
        let size: Int? = input.withBytes { bytes in
            do throws(HTTPError) { return try head.parse(bytes, limits: limits, requestMethod: method) } catch {
                failure = error
                return nil
            }
        }
        if let failure { throw failure }
        return size
    }

    func withHead(_ body: (inout ResponseHead, Span<UInt8>) -> Void) {
        input.withBytes { body(&head, $0) }
    }

    func releaseHead() {
        if !head.isInformational {
            body = BodyDecoder(head.framing, trailerLimits: origin?.snapshot.headLimits ?? HeadLimits())
            isPersistent = head.isPersistent && head.framing != .untilClose
            keepAliveTimeout = head.keepAliveTimeout
        }
        hasHead = false
        worker.heads.give(&head)
        input.consume(headSize)
        if input.isEmpty { worker.reactor.buffers.give(&input) }
    }

    func becomePipe() {
        isPersistent = false
        requestFraming = .untilClose
        body = BodyDecoder(.untilClose)
    }

    func receiveBody(
        isReading: Bool, limit: Int, _ deliver: (inout ByteBuffer, Int) -> Void
    ) throws(ClientStreamError) -> BodyProgress {
        if body.isComplete { return .end }
        if input.isEmpty {
            guard isReading else { return .nothing }
            do throws(IOError) {
                switch try receive(limit: limit) {
                case .bytes: break
                case .nothing: return .nothing
                case .end:
                    do throws(HTTPError) { try body.endOfInput() } catch { throw IOError(.endOfStream, "read") }
                    return .end
                }
            } catch { throw .broken(error) }
        }
        var failure: HTTPError?
        let (consumed, produced) = input.withMutableBytes { bytes in
            do throws(HTTPError) { return try body.decode(inPlace: bytes) } catch {
                failure = error
                return (0, 0)
            }
        }
        if let failure { throw .malformed(failure) }
        if produced > 0 { deliver(&input, produced) }
        input.consume(consumed)
        if input.isEmpty { worker.reactor.buffers.give(&input) }
        return .moved(produced)
    }

    var isBodyComplete: Bool { body.isComplete }
    var trailers: [UInt8] { body.trailers }

    func resumeWhenReadable(_ waiter: UnsafeContinuation<Void, Never>) {
        guard let connection else { return waiter.resume() }
        connection.resumeWhenReadable(waiter)
    }

    func wake() { connection?.wake() }

    /// Reads what the upstream has sent into `input`, which holds memory only while it holds bytes.
    private func receive(limit: Int) throws(IOError) -> Received {
        guard let connection else { throw IOError(.closed, "read") }
        if input.capacity == 0 { input = worker.reactor.buffers.take() }
        if input.isEmpty { input.removeAll(headroom: HTTP1Client.headroom) }
        defer { if input.isEmpty { worker.reactor.buffers.give(&input) } }
        return try connection.receive(into: &input, limit: limit)
    }

    // MARK: The end

    func close(_ reason: IOError) { connection?.close(reason) }

    func cut(_ reason: IOError) {
        // A request's framing shows that it is not whole. A pipe has no other way to say so.
        if requestFraming == .untilClose { connection?.reset(reason) } else { connection?.close(reason) }
    }
}
