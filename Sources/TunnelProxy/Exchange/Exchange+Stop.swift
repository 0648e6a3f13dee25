internal import TunnelCore
internal import TunnelIO

/// How an exchange is given up, and what its client hears where no response came from an upstream.
extension Exchange {
    /// Gives the exchange up: what waits for the upstream or for the request's body ends, and finds the reason.
    func stop(_ reason: Stop) {
        guard stopped == nil, server != nil else { return }
        stopped = reason
        if let limit = reason.limit { worker.metrics.count(.limit(limit)) }
        dial.cancel()
        let isLate = reason == .headOverdue || reason == .uploadStuck || reason == .pipeStalled
        client?.cut(IOError(isLate ? .timedOut : .closed, "exchange"))
        if upload == .running { server?.wakeBody() }
    }

    func cancel() {
        guard server != nil else { return }
        worker.shared.requestCut()
        stop(.shutdown)
    }

    /// Nobody is there for a response, or the response has begun: notes why, and ends.
    func cutShort() -> ResponseEnd? {
        switch stopped {
        case nil, .uploadStuck: return nil
        case .clientGone: record.end = .clientGone
        case .clientStalled:
            record.end = .timeout
            record.fail(.clientStalled)
        case .shutdown: record.end = .shutdown
        case .bodyMalformed:
            if record.status == 0 { return nil }
            record.end = .badRequest
        case .headOverdue, .bodyOverdue, .pipeStalled:
            if record.status == 0 { return nil }
            record.end = .timeout
        }
        return .cut
    }

    // MARK: Responses of our own

    @inline(never)
    func respond(
        _ status: UInt16, _ body: String, _ end: ExchangeRecord.End, fields: [(name: String, value: String)] = []
    ) async -> ResponseEnd {
        guard let server else { return .cut }
        if let end = cutShort() { return end }
        record.status = status
        record.end = end
        server.respond(OwnResponse(status: status, body: body, fields: ownFields(fields)), dropsBody: upload == .none)
        record.firstByte = worker.reactor.now
        if server.push() == .full {
            do throws(IOError) { try await server.flush() } catch {
                _ = cutShort()
                return .cut
            }
        }
        return .whole
    }

    /// No connection to the upstream could be had.
    @inline(never)
    func refuse(_ error: LeaseError) async -> ResponseEnd {
        if let end = cutShort() { return end }
        warn(error.logMessage) { line in
            if let routeName { line.field("route", routeName) }
            error.writeFields(to: &line)
        }
        record.fail(error.cause)
        if case .refused(_, let refusal) = error { worker.metrics.count(.refusal(refusal)) }
        return await respond(error.status, error.body, error.end)
    }

    /// The upstream gave no response.
    @inline(never)
    func respondToFailure(_ error: ClientStreamError) async -> ResponseEnd {
        if let end = cutShort() { return end }
        switch (stopped, error) {
        case (.bodyMalformed, _): return await respond(400, "Malformed request body", .badRequest)
        case (.bodyOverdue, _):
            record.fail(.requestStalled)
            return await respond(408, "The request's body stopped coming", .timeout)
        case (nil, .malformed(let error)):
            record.fail(.notHTTP)
            warn("malformed response from upstream") { line in line.field("reason", error.reason) }
            return await respond(502, "The upstream sent a malformed response", .upstreamFailed)
        default: break
        }
        let isOverdue = stopped == .headOverdue
        record.fail(isOverdue ? .silent : error.cause)
        warn("no response from upstream") { line in
            line.field("route", routeName ?? "")
            line.field("upstream", record.upstream.map { "\($0)" } ?? "")
            line.field("error", isOverdue ? "response_header_timeout passed" : error.reason)
        }
        return isOverdue
            ? await respond(504, "The upstream did not respond in time", .timeout)
            : await respond(502, "The upstream closed the connection without a whole response", .upstreamFailed)
    }
}

extension Exchange: ServerStreamObserver {
    func clientEnded(_ end: StreamEnd) {
        switch end {
        // The upload delivers what was said before the end, and ends the upstream's side then.
        case .orderly where phase == .piping: break
        case .orderly, .lost: stop(.clientGone)
        case .stalled: stop(.clientStalled)
        }
    }
}
