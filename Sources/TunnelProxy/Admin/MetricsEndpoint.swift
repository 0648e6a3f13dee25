internal import TunnelCore
internal import TunnelIO

/// `/metrics`: everything that is counted, for Prometheus and its kin.
final class MetricsEndpoint: AdminEndpoint {
    private let context: AdminSite.Context
    private let reactor: Reactor
    private let readiness: ProxyReadiness
    /// Of a loop that does not turn, what it had counted when it last did: no counter may go back.
    private var last: [LoopMetrics?]
    private static let pieceSize = 64 * 1024

    init(_ context: AdminSite.Context, _ readiness: ProxyReadiness, on reactor: Reactor) {
        (self.context, self.readiness, self.reactor) = (context, readiness, reactor)
        last = Array(repeating: nil, count: context.loops.count)
    }

    /// The present values, for other endpoints too.
    func families() async -> [MetricFamily] {
        let answers = await LoopMetrics.gather(context.loops, on: reactor)
        for index in answers.indices { last[index] = answers[index] ?? last[index] }
        return MetricsReport(
            shared: context.shared, loops: last.compactMap { $0 },
            isReady: readiness.conditions.allSatisfy(\.holds)
        ).families
    }

    func reply(to request: AdminRequest) async -> AdminReply {
        let format = MetricsText.Format.accepted(by: request.fields["accept"] ?? "")
        let families = await families()
        // With a thousand routes these are megabytes, which are not to lie in memory several times over.
        return .stream(type: format.contentType) { body in
            let text = MetricsText(format)
            var buffer = ByteBuffer(capacity: Self.pieceSize * 5 / 4)
            var (place, hasMore) = (MetricsText.Place(), true)
            while hasMore {
                hasMore = text.append(families, from: &place, atLeast: Self.pieceSize, to: &buffer)
                guard await body.send(buffer.array) else { return }
                buffer.removeAll()
            }
        }
    }
}
