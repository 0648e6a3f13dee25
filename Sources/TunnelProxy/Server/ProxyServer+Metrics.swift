internal import Synchronization
public import TunnelCore
internal import TunnelIO

extension ProxyServer {
    /// Everything that docs/metrics.md lists, but for `mcp_tunnel_ready`, as a value.
    ///
    ///     let body = MetricsText(.prometheus).write(await server.metrics())
    ///
    /// Each loop is asked for a copy of what it counts; no request waits for that. Before the start and after the stop only the
    /// facts of the process are there, and every counter is zero.
    public func metrics() async -> [MetricFamily] {
        let loops = await running?.loopMetrics() ?? []
        return MetricsReport(shared: shared, loops: loops.compactMap { $0 }, isReady: nil).families
    }
}

/// Those who wait for what the loops of a running proxy have counted. The end of the loops ends their wait.
final class MetricsWaiters: Sendable {
    private struct State {
        var isOver = false
        var last: UInt64 = 0
        var waiters: [UInt64: UnsafeContinuation<[LoopMetrics?], Never>] = [:]
    }
    private let state = Mutex(State())

    /// - Parameter ask: begins to ask; its argument is to be called with what came of it.
    func wait(_ ask: (@escaping @Sendable ([LoopMetrics?]) -> Void) -> Void) async -> [LoopMetrics?] {
        await withUnsafeContinuation { continuation in
            let key: UInt64? = state.withLock { state in
                guard !state.isOver else { return nil }
                state.last += 1
                state.waiters[state.last] = continuation
                return state.last
            }
            guard let key else { return continuation.resume(returning: []) }
            ask { [self] found in
                let waiter = state.withLock { $0.waiters.removeValue(forKey: key) }
                waiter?.resume(returning: found)
            }
        }
    }

    /// The loops have ended: nobody will answer any more.
    func end() {
        let waiters = state.withLock { state in
            state.isOver = true
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume(returning: []) }
    }
}
