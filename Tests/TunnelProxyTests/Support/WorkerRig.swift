import TunnelIO
import TunnelTestSupport

@testable import TunnelProxy

/// Runs `body` on a loop whose worker accepts at a port of its own. What a proxy does with its workers, `body` does step by
/// step, but for the end: everything is let go of when it returns.
func onWorker<R: Sendable>(
    of state: SharedState, _ body: @escaping @Sendable (isolated Loop, ProxyWorker, UInt16) async throws -> R
) throws -> R {
    try onLoop { loop in
        let listener = try Listener(.loopback(0), isShared: false)
        let worker = ProxyWorker(loop.reactor, state, loops: 1)
        loop.reactor.context = worker
        defer { worker.finish() }
        try worker.accept(from: listener, isShared: false)
        return try await body(loop, worker, listener.address.port)
    }
}
