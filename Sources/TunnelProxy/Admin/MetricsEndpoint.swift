internal import TunnelCore
internal import TunnelIO

/// `/metrics`: everything that is counted, for Prometheus and its kin.
final class MetricsEndpoint: AdminEndpoint {
    private let context: AdminSite.Context
    private let reactor: Reactor
    private let readiness: ProxyReadiness
    /// Of a loop that does not turn, what it had counted when it last did: no counter may go back.
    private var last: [LoopMetrics?]

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
        let text = MetricsText(format).write(await families())
        return .whole(AdminResponse(type: format.contentType, body: text))
    }
}
