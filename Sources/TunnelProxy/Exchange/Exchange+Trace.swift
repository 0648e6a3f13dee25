internal import TunnelCore
internal import TunnelIO

/// What goes with an exchange so that others can find it again: ids for the upstream and the client, and spans.
extension Exchange {
    // MARK: The head

    /// Takes from a request's head what is said of it later, and makes the lines that go with it.
    func takeNames(_ stream: any ServerStream, _ head: RequestHead, _ bytes: Span<UInt8>) {
        labels.take(
            connection: stream.connectionNumber, request: stream.requestNumber, head, of: bytes, &worker.sessions)
        if let sampler = worker.sampler { beginTrace(head, bytes, sampler) }
        if snapshot.configuration.trace.requestID { takeRequestID(head, bytes) }
        if snapshot.configuration.logMCP, !labels.hasMCPMethod, stream.request.method == .post { scanner.begin() }
    }

    @inline(never)
    private func beginTrace(_ head: RequestHead, _ bytes: Span<UInt8>, _ sampler: Sampler) {
        let ratio = snapshot.configuration.trace.sampleRatio
        trace = ExchangeTrace(head, bytes, sampler, ratio: ratio, &worker.random)
        guard let ids = trace.ids else { return }
        ids.context.appendLine(to: &upstreamLines.lines)
        upstreamLines.replaced.insert(.traceParent)
        // W3C Trace Context §3.3: what goes with another trace says nothing of a new one.
        if ids.parent == nil { upstreamLines.replaced.insert(.traceState) }
    }

    @inline(never)
    private func takeRequestID(_ head: RequestHead, _ bytes: Span<UInt8>) {
        var count = 0
        var value = 0..<0
        for field in head.fields where field.id == .requestID {
            count += 1
            value = field.value
        }
        clientLines.replaced.insert(.requestID)
        clientLines.lines.append("Request-Id: " as StaticString)
        if count == 1, RequestID.isAcceptable(bytes.extracting(value)) {
            labels.takeRequestID(bytes.extracting(value))
            clientLines.lines.append(bytes.extracting(value))
        } else {
            let id = HexText(worker.random.next(), worker.random.next())
            id.withBytes { labels.takeRequestID($0) }
            clientLines.lines.append(id)
        }
        clientLines.lines.append("\r\n" as StaticString)
        // The upstream is told the same; also where the client's line would have named this hop alone.
        upstreamLines.replaced.insert(.requestID)
        clientLines.lines.withBytes { upstreamLines.lines.append($0) }
    }

    /// A connection to the upstream is looked for.
    func noteDial(_ route: Int, isRetry: Bool) {
        guard trace.ids != nil else { return }
        if trace.dialled == 0 { trace.dialled = worker.reactor.now }
        trace.route = route
        if isRetry { trace.resends += 1 }
    }

    /// The final head of a response is there.
    func noteResponse(_ head: ResponseHead, _ bytes: Span<UInt8>) {
        guard labels.session == nil, let field = head.first(.mcpSessionID) else { return }
        labels.takeSession(bytes.extracting(field.value), &worker.sessions)
    }

    /// A piece of the request's body goes by.
    @inline(__always)
    func look(at bytes: UnsafeRawBufferPointer) {
        guard scanner.isActive else { return }
        scan(bytes)
    }

    @inline(never)
    private func scan(_ bytes: UnsafeRawBufferPointer) {
        scanner.look(at: bytes.bindMemory(to: UInt8.self).span)
    }

    // MARK: The end

    /// What an exchange has found out when it is over.
    func endTrace() {
        if snapshot.configuration.logMCP {
            labels.take(scanner)
            scanner.stop()
        }
        if trace.recorded != nil { recordSpans() }
    }

    /// Makes it ready for the next request.
    func forgetNames() {
        labels.release()
        trace = ExchangeTrace()
        upstreamLines.removeAll()
        clientLines.removeAll()
    }

    /// The fields of a response of our own.
    func ownFields(_ fields: [(name: String, value: String)]) -> [(name: String, value: String)] {
        guard let id = labels.requestIDText else { return fields }
        return fields + [(name: "Request-Id", value: id)]
    }

    @inline(never)
    private func recordSpans() {
        guard let ids = trace.ids, let tracer = worker.shared.tracer else { return }
        let (wall, now) = (SystemClock.now(), Reactor.clock())
        // Both clocks are read together once, so that the two spans of an exchange fit each other.
        let end = UInt64(max(0, wall.seconds)) &* 1_000_000_000 &+ UInt64(max(0, wall.nanoseconds))
        func moment(_ time: UInt64) -> UInt64 { end &- (now &- time) }

        worker.spans.removeAll()
        let server = OTLPSpanWriter.Facts(
            traceID: ids.traceID, spanID: ids.server, parent: ids.parent, isParentRemote: true, flags: ids.flags,
            kind: .server, start: moment(record.started), end: end)
        writeServerSpan(server, &worker.spans)
        if trace.dialled > 0 {
            let client = OTLPSpanWriter.Facts(
                traceID: ids.traceID, spanID: ids.client, parent: ids.server, isParentRemote: false, flags: ids.flags,
                kind: .client, start: moment(trace.dialled), end: end)
            writeClientSpan(client, &worker.spans)
        }
        tracer.submit(worker.spans.bytes.array, spans: worker.spans.spans)
    }
}
