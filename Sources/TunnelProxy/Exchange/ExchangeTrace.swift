internal import TunnelCore

/// One exchange's part in a trace: the ids that it has, and what its spans need and its record has not.
struct ExchangeTrace {
    /// The ids of one exchange.
    struct IDs {
        let traceID: TraceID
        /// Whoever sent the request; `nil` where the trace begins here.
        let parent: SpanID?
        /// Of the exchange as a whole.
        let server: SpanID
        /// Of the request to the upstream, which is told this one.
        let client: SpanID
        let flags: UInt8

        var isSampled: Bool { flags & TraceContext.sampled != 0 }

        /// What the upstream is told.
        var context: TraceContext { TraceContext(traceID: traceID, spanID: client, flags: flags) }
    }

    /// `nil` where the proxy takes no part in traces.
    var ids: IDs?
    /// When a connection to the upstream was first looked for, by the loop's clock; 0 for never.
    var dialled: UInt64 = 0
    /// Which route that was.
    var route = 0
    /// How often the request went to another connection.
    var resends: UInt64 = 0

    /// The trace that a log line or an exemplar may name: one that is recorded.
    var recorded: TraceID? { ids.flatMap { $0.isSampled ? $0.traceID : nil } }

    init() {}

    /// Continues the trace that the head names, or begins one.
    ///
    /// - Parameter ratio: of the configuration, in place of the sampler's.
    init(
        _ head: RequestHead, _ bytes: Span<UInt8>, _ sampler: Sampler, ratio: Double?, _ random: inout RandomNumbers
    ) {
        let sampler = ratio.map { Sampler(ratio: $0, followsParent: sampler.followsParent) } ?? sampler
        let parent = ExchangeTrace.parent(head, bytes)
        let traceID = parent?.traceID ?? random.traceID()
        let isSampled = sampler.records(traceID, parentIsSampled: parent?.isSampled)
        ids = IDs(
            traceID: traceID, parent: parent?.spanID, server: random.spanID(), client: random.spanID(),
            flags: (parent?.flags ?? 0) & TraceContext.random | (isSampled ? TraceContext.sampled : 0))
    }

    /// What the request says. Two that say it are none (W3C Trace Context §3.2: one field).
    private static func parent(_ head: RequestHead, _ bytes: Span<UInt8>) -> TraceContext? {
        var value: Range<Int>?
        guard head.holds(anyOf: FieldNames().with(.traceParent)) else { return nil }
        for field in head.fields where field.id == .traceParent && !field.isHopByHop {
            if value != nil { return nil }
            value = field.value
        }
        return value.flatMap { TraceContext(bytes.extracting($0)) }
    }
}
