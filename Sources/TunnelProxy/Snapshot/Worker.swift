internal import TunnelCore
internal import TunnelIO

/// What everything on one loop has in common: the loop itself, what the loops share, the counters, and spare memory.
final class Worker {
    /// Held: the end of the proxy takes the worker off its loop.
    let reactor: Reactor
    let shared: SharedState
    var metrics = WorkerMetrics()
    var heads = HeadPool()

    init(_ reactor: Reactor, _ shared: SharedState) {
        (self.reactor, self.shared) = (reactor, shared)
    }
}
