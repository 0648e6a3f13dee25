internal import TunnelCore
internal import TunnelIO

/// What of one exchange is counted, and where.
struct ExchangeTally {
    /// Of its route.
    private(set) var counters: RouteCounters
    private var operation: OperationMethod?
    private var tool: ToolPlace?
    /// Its place among the event streams that are open; below zero where it is none.
    private var eventStream: Int32 = -1

    init(on worker: Worker) { counters = worker.metrics.route(.none) }

    /// A request has come whose head says this.
    mutating func begin(_ head: borrowing RequestHead, _ bytes: Span<UInt8>, on worker: Worker, namesTools: Bool) {
        worker.metrics.saw(.request, at: worker.reactor.now)
        (operation, tool, eventStream) = (nil, nil, -1)
        guard let field = head.first(.mcpMethod) else { return }
        let method = OperationMethod(bytes.extracting(field.value))
        operation = method
        guard namesTools, method.isToolCall, let name = head.first(.mcpName) else { return }
        tool = worker.tools.place(bytes.extracting(name.value))
    }

    /// Its route is known, or that it has none.
    mutating func enter(_ slot: RouteSlot, on worker: Worker) {
        counters = worker.metrics.route(slot)
        counters.began()
    }

    mutating func eventStreamBegan(on worker: Worker) {
        counters.eventStreamBegan()
        eventStream = worker.metrics.eventStreams.add(worker.reactor.now)
    }

    /// It is over.
    ///
    /// - Parameter traceID: the trace that it belongs to, for the route's exemplar.
    mutating func end(
        _ record: ExchangeRecord, _ method: Method, on worker: Worker, traceID: (high: UInt64, low: UInt64)? = nil
    ) {
        let now = worker.reactor.now
        let nanoseconds = now &- record.started
        if eventStream >= 0 {
            counters.eventStreamEnded()
            worker.metrics.eventStreams.remove(eventStream)
            eventStream = -1
        }
        if record.firstByte > 0 { counters.recordFirstByte(nanoseconds: record.firstByte &- record.started) }
        worker.metrics.recordDuration(
            counters, method, status: record.status, nanoseconds: nanoseconds, now: now, traceID: traceID)
        if let failure = record.finalCause.upstreamFailure { counters.failed(failure) }
        counters.ended()
        if let operation {
            worker.metrics.recordOperation(
                operation, record.operationError, tool: tool, nanoseconds: nanoseconds)
        }
    }
}

extension ExchangeRecord {
    fileprivate var operationError: OperationError {
        switch end {
        case .complete where status >= 500: .serverError
        case .complete where status >= 400: .clientError
        case .complete: .none
        case .clientGone: .clientGone
        case .upstreamFailed: .upstreamFailed
        case .refused: .refused
        case .timeout: .timeout
        case .limit: .limit
        case .shutdown: .shutdown
        case .badRequest: .badRequest
        }
    }
}

extension Exchange.Stop {
    /// The limit that was reached, if it is one.
    var limit: LimitHit? {
        switch self {
        case .clientStalled, .pipeStalled: .sendTimeout
        case .headOverdue: .responseHeaderTimeout
        case .bodyOverdue: .bodyTimeout
        case .clientGone, .shutdown, .bodyMalformed, .uploadStuck: nil
        }
    }
}
