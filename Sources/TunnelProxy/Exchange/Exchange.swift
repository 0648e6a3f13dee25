internal import TunnelCore
internal import TunnelIO

/// One request and its response: from a client's stream to an upstream's and back, until its line is in the log.
///
/// ``serve(_:)`` is the way of a request through the proxy, step by step. It knows streams only: no framing, no version of HTTP
/// and no tunnel is in it. A connection has one exchange and uses it again for each request, because objects cost more than a
/// request does otherwise.
///
/// Two things may happen at any time: an end (of the client, of a deadline, of the proxy), which is a ``Stop`` that the first
/// cause sets and every step looks at after it has waited; and a response that comes before the request's body has gone up,
/// which is why that body has a task of its own (Exchange+Upload.swift).
final class Exchange: RequestHandler {
    /// Why the exchange is given up. The first cause counts.
    enum Stop: Equatable {
        case clientGone
        /// The client took nothing of the response for `limits.send_timeout`.
        case clientStalled
        case shutdown
        /// `upstream.response_header_timeout` passed.
        case headOverdue
        /// The request's body broke the rules of its framing.
        case bodyMalformed
        /// Nothing of the request's body came for `limits.body_timeout`.
        case bodyOverdue
        /// The upstream took nothing of a pipe's last bytes for `limits.send_timeout`.
        case pipeStalled
        /// The response is whole, and the rest of the request does not move.
        case uploadStuck
    }

    /// The request's body on its way up.
    enum Upload: Equatable {
        /// It went with the head, or has not begun.
        case none
        case running
        case done
        /// It ended before all of the body had gone up.
        case broken
    }

    /// What the exchange is at.
    enum Phase: Equatable {
        case idle
        /// Looking the upstream up, connecting, shaking hands.
        case connecting
        case awaitingHead
        case relaying
        /// The upstream switched to WebSocket: both ways carry bytes until either ends.
        case piping
    }

    let worker: Worker
    let upstreams: UpstreamPools
    /// Whose routes it goes by: its connection's, by its number.
    let tunnel: Int
    var snapshot: ProxySnapshot
    var server: (any ServerStream)?
    var client: (any ClientStream)?
    var phase = Phase.idle
    var stopped: Stop?
    var record = ExchangeRecord()
    var labels = RequestLabels()
    var tally: ExchangeTally
    var routeName: String?
    /// Its index in the snapshot's routes; -1 for none.
    private(set) var route: Int32 = -1
    /// What it has a place of, to be given back.
    var places = Places()
    /// Set while a response is passed on that comments are put into.
    var keepAlive: EventStreamKeepAlive?
    var trace = ExchangeTrace()
    /// Lines of ours in the heads that go up and down; see Exchange+Trace.swift.
    var upstreamLines = AddedLines()
    var clientLines = AddedLines()
    /// Looks for the request's method in its body, where no field has it.
    var scanner = JSONRPCScanner()

    /// The first bytes of the request's body, which go with the head and once more with it.
    private(set) var early = ByteBuffer()
    var upload = Upload.none
    /// Its task has not ended yet, whatever became of it.
    var uploadIsUnderWay = false
    /// Body bytes went up that `early` does not hold, so the request cannot be sent again.
    var hasUploaded = false
    var uploadWaiter: UnsafeContinuation<Void, Never>?
    /// What of a stuck or lingering upload was seen last, and when it last moved.
    var lastSeen: UInt64 = 0
    var lastMoved: UInt64 = 0
    /// Ends the lookup, the connect or the handshake that is under way.
    let dial = Cancellation()

    private lazy var headDeadline = Deadline(on: worker.reactor) { [unowned self] in stop(.headOverdue) }
    private(set) lazy var patience = Deadline(on: worker.reactor) { [unowned self] in checkUpload() }

    /// A head and a body up to here go to the upstream in one write.
    private static let maxEarly = 32 * 1024
    /// 1xx heads passed on for one request; more is an upstream gone wrong.
    private static let maxInterim = 64
    /// Bytes that a direction moves before others on the loop get their turn.
    static let turnBytes = 256 * 1024

    init(on worker: Worker, _ upstreams: UpstreamPools, tunnel: Int) {
        (self.worker, self.upstreams, self.tunnel) = (worker, upstreams, tunnel)
        snapshot = worker.snapshot
        tally = ExchangeTally(on: worker)
    }

    // MARK: The way of a request

    func serve(_ stream: any ServerStream) async -> ResponseEnd {
        let inFlight = stream.inFlight ?? worker.shared.requestBegan()
        begin(stream)
        let end: ResponseEnd
        if let early = await obtainResponse(stream, inFlight: inFlight) {
            end = early
        } else {
            // 6 down, 7 end
            end = await relay(stream)
        }
        await endUpload()
        finish()
        if stream.inFlight == nil { worker.shared.requestEnded() }
        return end
    }

    /// Steps 1 to 5. It and what it calls have frames of their own, which are gone while a response is relayed for an hour.
    ///
    /// - Returns: `nil` when the head of a response is there.
    private func obtainResponse(_ server: any ServerStream, inFlight: Int) async -> ResponseEnd? {
        // 1 route
        let route: Int
        switch admit(server, inFlight) {
        case .route(let index): route = index
        case .waits(let index):
            if let end = await waitForPlaces(index) { return end }
            route = index
        case .refused(let status, let body, let end, let fields):
            return await respond(status, body, end, fields: fields)
        }

        var isRetry = false
        while true {
            // 2 connection
            if let end = cutShort() { return end }
            phase = .connecting
            if let error = await connect(to: route, for: server, fresh: isRetry) {
                return await refuse(error)
            }
            guard let client else { return cutShort() ?? .cut }
            if let end = cutShort() { return end }

            // 3 head, 4 up
            let canRetry = send(server, client, route, isRetry: isRetry)

            // 5 response
            do throws(ClientStreamError) {
                try await awaitHead(server, client)
                return nil
            } catch {
                if canRetry, isRetryable(error, server, client) {
                    isRetry = true
                    worker.metrics.count(.retry)
                    await restartUpload()
                    dropClient()
                    continue
                }
                return await respondToFailure(error)
            }
        }
    }

    enum Admission {
        case route(Int)
        /// There is no place for it yet.
        case waits(Int)
        indirect case refused(UInt16, String, ExchangeRecord.End, fields: [(name: String, value: String)])
    }

    @inline(never)
    private func admit(_ server: any ServerStream, _ inFlight: Int) -> Admission {
        var route: Int?
        server.withHead { head, bytes in route = snapshot.route(for: bytes.extracting(head.authority), of: tunnel) }
        routeName = route.map { snapshot.routes[$0].name }
        tally.enter(route.map { snapshot.routes[$0].slot } ?? .none, on: worker)
        self.route = route.map { Int32(truncatingIfNeeded: $0) } ?? -1
        logStart()
        // With a queue the turnstile counts; but not who came before there was one.
        let limits = snapshot.configuration.limits
        if inFlight > limits.maxRequests + (snapshot.places == nil ? 0 : limits.maxQueued) {
            worker.metrics.count(.limit(.maxRequests))
            return .refused(503, "Too many requests in flight", .limit, fields: [(name: "Retry-After", value: "1")])
        }
        guard let route else { return refusalWithoutRoute(server) }
        guard server.request.method != .connect else {
            return .refused(501, "CONNECT is not supported", .badRequest, fields: [])
        }
        if let refusal = refusalByLists(route, server) ?? refusalByRate(route) { return refusal }
        do throws(HTTPError) { try takeEarlyBody(server) } catch {
            return .refused(error.status, "Malformed request body", .badRequest, fields: [])
        }
        return takePlaces(route) ? .route(route) : .waits(route)
    }

    /// Gets `client`, parked or new.
    ///
    /// - Returns: why there is none.
    @inline(never)
    private func connect(to route: Int, for server: any ServerStream, fresh: Bool) async -> LeaseError? {
        noteDial(route, isRetry: fresh)
        // By HTTP/2 one connection carries requests of many at once, and so none of their logins.
        let owner = server.streamID == nil ? server.connectionNumber : 0
        do throws(LeaseError) {
            use(
                try await upstreams.client(
                    for: route, snapshot, owner: owner, fresh: fresh, needs: needs(server, of: route),
                    cancellation: dial))
            return nil
        } catch { return error }
    }

    @inline(never)
    private func use(_ client: any ClientStream) {
        self.client = client
        record.upstream = client.address
    }

    /// What of the body came with the head goes to the upstream with it.
    private func takeEarlyBody(_ server: any ServerStream) throws(HTTPError) {
        guard !server.isBodyComplete else { return }
        _ = try server.receiveBody(limit: Exchange.maxEarly) { bytes in
            look(at: bytes)
            early = worker.reactor.buffers.take(atLeast: bytes.count)
            early.append(bytes)
        }
        record.bytesIn = UInt64(early.count)
        tally.counters.movedUp(early.count)
    }

    /// Sends the request, or as much of it as is here.
    ///
    /// - Returns: whether it can be sent once more.
    @inline(never)
    private func send(
        _ server: any ServerStream, _ client: any ClientStream, _ route: Int, isRetry: Bool
    ) -> Bool {
        let rules = ForwardingRules(
            host: snapshot.hostRules[route], framing: server.request.framing,
            passesUpgrade: server.request.wantsWebSocket, forwarded: forwardedFields(server),
            isTranslated: server.streamID != nil)
        server.withHead { head, bytes in client.sendHead(head, bytes, rules, adding: upstreamLines) }
        early.withMutableBytes { client.sendBody(UnsafeRawBufferPointer($0)) }
        if server.isBodyComplete && !hasUploaded { client.endBody(trailers: server.trailers) }
        // The wait for the upstream's response is the wait for its room as well: an upload waits before it sends more.
        _ = client.push()
        let canRetry = !isRetry && (client.mayRefuse || client.isReused && isRepeatable(server, client))
        if !canRetry { releaseRequest(server) }
        if !server.isBodyComplete && upload == .none { startUpload() }
        return canRetry
    }

    private func forwardedFields(_ server: any ServerStream) -> ForwardedFields? {
        switch snapshot.configuration.upstream.forwardedHeaders {
        case .off: nil
        case .on: ForwardedFields(clientAddress: [], isSecure: true, extent: .hostAndProto)
        case .full: ForwardedFields(clientAddress: server.clientAddress, isSecure: true)
        }
    }

    /// It will not be sent again.
    func releaseRequest(_ server: any ServerStream) {
        server.releaseHead()
        worker.reactor.buffers.give(&early)
    }

    // MARK: Step 5

    /// Waits for the final head.
    @inline(never)
    private func awaitHead(_ server: any ServerStream, _ client: any ClientStream) async throws(ClientStreamError) {
        phase = .awaitingHead
        defer { headDeadline.cancel() }
        if upload != .running { armHeadDeadline() }
        var interim = 0
        while true {
            var room = Room.room
            switch try readHead(server, client, &interim, &room) {
            case .final: return
            case .interim: if room == .full { await waitForClient(server) }
            case .nothing: await client.readable()
            }
        }
    }

    /// Reads towards the next head, and passes on one that is not final.
    // Not inlined, as all that a wait does not need: it would stay in the frame of the task.
    @inline(never)
    private func readHead(
        _ server: any ServerStream, _ client: any ClientStream, _ interim: inout Int, _ room: inout Room
    ) throws(ClientStreamError) -> ResponseProgress {
        let progress = try client.receiveHead(server.request.method, snapshot.headLimits)
        switch progress {
        case .final: record.firstByte = worker.reactor.now
        case .interim:
            interim += 1
            guard interim <= Exchange.maxInterim else {
                throw .malformed(HTTPError(status: 502, reason: "too many 1xx responses"))
            }
            client.withHead { head, bytes in server.sendInterim(head, bytes) }
            client.releaseHead()
            room = server.push()
        case .nothing: break
        }
        return progress
    }

    /// The request is with the upstream: from now on its response may be overdue.
    func armHeadDeadline() {
        guard phase == .awaitingHead, route >= 0 else { return }
        let timeout = snapshot.routes[Int(route)].responseHeaderTimeout
        if timeout > 0 { headDeadline.set(after: timeout) }
    }

    /// Waits until the client takes more; that it will not any more is noted as a stop.
    @inline(never)
    func waitForClient(_ server: any ServerStream) async {
        do throws(IOError) { try await server.flush() } catch {
            stop(error.code == .timedOut ? .clientStalled : .clientGone)
        }
    }

    // MARK: Begin and finish

    private func begin(_ stream: any ServerStream) {
        server = stream
        snapshot = worker.snapshot
        (phase, stopped, upload, hasUploaded) = (.idle, nil, .none, false)
        (routeName, route) = (nil, -1)
        record = ExchangeRecord()
        record.started = worker.reactor.now
        dial.reset()
        stream.withHead { head, bytes in
            takeNames(stream, head, bytes)
            tally.begin(head, bytes, on: worker, namesTools: snapshot.configuration.metrics.mcpNames)
        }
        stream.observer = self
        if let end = stream.end { clientEnded(end) }
    }

    private func finish() {
        headDeadline.cancel()
        dropClient()
        worker.reactor.buffers.give(&early)
        if !places.isEmpty { leavePlaces() }
        endTrace()
        tally.end(
            record, server?.request.method ?? .other, on: worker, traceID: trace.recorded.map { ($0.high, $0.low) })
        logFinish()
        if worker.keepsRecent { noteRecent() }
        forgetNames()
        server?.observer = nil
        (server, phase) = (nil, .idle)
    }

    func dropClient() {
        client?.finish(keeps: false)
        client = nil
    }

    /// For the page and `/status`.
    private func noteRecent() {
        let now = worker.reactor.now
        worker.recent.note(routes: snapshot.routes.count) { entry in
            entry.outcome = RecentExchanges.Outcome(
                finished: now, firstByte: record.firstByte > 0 ? record.firstByte &- record.started : 0,
                generation: snapshot.generation, route: route, status: record.status, cause: record.finalCause)
            (entry.duration, entry.bytesIn, entry.bytesOut) = (now &- record.started, record.bytesIn, record.bytesOut)
            labels.write(to: &entry)
        }
    }
}
