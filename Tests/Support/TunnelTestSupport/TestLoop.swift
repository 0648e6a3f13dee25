internal import Synchronization
package import TunnelIO

/// Why a body on a loop gave no result, or not the one that counts.
package enum TestLoopError: Error {
    case hung
    /// So many deadlines were still set when it was done: their owners outlived their work.
    case deadlinesLeft(Int)
}

/// Runs `body` on a loop that the calling thread serves, and returns what it returns. Once it is done, no deadline may
/// be left on the loop.
///
/// - Parameter names: whom the loop asks for the addresses of names.
/// - Throws: ``TestLoopError/hung`` when it took 20 seconds: whoever waits on a loop and is not resumed fails its test
///   instead of stopping all of them.
package func onLoop<R: Sendable>(
    names: NameService = .shared, _ body: @escaping @Sendable (isolated Loop) async throws -> R
) throws -> R {
    let loop = try Loop(names: names)
    let result = Mutex<Result<R, any Error>?>(nil)
    loop.spawn { loop in
        let watchdog = Deadline(on: loop.reactor) { [unowned loop] in loop.stop() }
        watchdog.set(after: 20_000_000_000)
        let outcome: Result<R, any Error>
        do { outcome = .success(try await body(loop)) } catch { outcome = .failure(error) }
        watchdog.cancel()
        result.withLock { $0 = outcome }
        loop.stop()
    }
    loop.run()
    guard let outcome = result.withLock({ $0 }) else { throw TestLoopError.hung }
    let value = try outcome.get()
    let left = loop.assumeIsolated { $0.reactor.pendingDeadlines }
    if left > 0 { throw TestLoopError.deadlinesLeft(left) }
    return value
}

/// Lets the loop look at its descriptors and deadlines a few times.
package func turns(_ count: Int = 3, on reactor: Reactor) async {
    for _ in 0..<count {
        let gate = Gate(on: reactor)
        gate.openSoon()
        await gate.wait()
    }
}

/// Lets the loop turn until `isDone`; `false` when that takes 15 seconds.
package func turns(on reactor: Reactor, until isDone: () -> Bool) async -> Bool {
    let limit = Reactor.clock() + 15_000_000_000
    while !isDone() {
        if Reactor.clock() > limit { return false }
        await turns(1, on: reactor)
    }
    return true
}

/// Waits for a deadline that is due at once, so that the loop's own dispatch resumes the task.
package final class Gate {
    private let reactor: Reactor
    private var waiter: UnsafeContinuation<Void, Never>?
    private lazy var deadline = Deadline(on: reactor) { [unowned self] in
        waiter?.resume()
        waiter = nil
    }

    package init(on reactor: Reactor) { self.reactor = reactor }

    package func openSoon() { deadline.set(after: 0) }

    package func wait() async { await withUnsafeContinuation { waiter = $0 } }
}
