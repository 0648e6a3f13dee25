internal import TunnelCore
internal import TunnelIO

/// What lives on a loop of the proxy and has its worker.
protocol WorkerHolder: AnyObject {
    var worker: Worker { get }
}

/// What everything on one loop has in common: the loop itself, what the loops share, the counters, and spare memory.
final class Worker {
    /// Held: the end of the proxy takes the worker off its loop.
    let reactor: Reactor
    let shared: SharedState
    /// The proxy's log, by a way that no other loop uses.
    let log: Log
    let metrics = WorkerMetrics()
    /// For `metrics.mcp_names`.
    var tools: KnownTools
    /// How many upstream connections wait for a request; set by who keeps them.
    var parkedConnections: (() -> Int)?
    var heads = HeadPool()
    /// For the page and `/status`; written where there is an admin listener that shows it.
    var recent: RecentExchanges
    let keepsRecent: Bool
    /// Which traces are recorded, unless the configuration says; `nil` where the proxy takes no part in them.
    let sampler: Sampler?
    var random = RandomNumbers()
    /// Spans of an exchange, until they are handed on.
    var spans = OTLPSpanWriter()
    var sessions = SessionHashes()
    private var current: ProxySnapshot
    private var version: Int

    init(_ reactor: Reactor, _ shared: SharedState) {
        (self.reactor, self.shared) = (reactor, shared)
        log = shared.log.forOneThread()
        tools = KnownTools(shared.tools)
        keepsRecent = shared.snapshot.configuration.adminAddress != nil
        recent = RecentExchanges(isOn: keepsRecent)
        sampler = shared.tracer?.settings.sampler
        (current, version) = shared.currentSnapshot()
    }

    /// The one of the current loop, for a task that has just started there; `nil` once the loop has ended.
    static func current(on loop: isolated Loop) -> Worker? { (loop.reactor.context as? any WorkerHolder)?.worker }

    /// The configuration in force; read once a request.
    var snapshot: ProxySnapshot {
        if shared.version != version { (current, version) = shared.currentSnapshot() }
        return current
    }
}
