import Synchronization
import Testing
import TunnelIO

/// Why a body on a loop gave no result.
enum TestLoopError: Error { case hung }

/// Runs `body` on a loop that the calling thread serves, and returns what it returns.
///
/// - Throws: ``TestLoopError/hung`` when it took 20 seconds: whoever waits on a loop and is not resumed fails its test
///   instead of stopping all of them.
func onLoop<R: Sendable>(_ body: @escaping @Sendable (isolated Loop) async throws -> R) throws -> R {
    let loop = try Loop()
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
    return try outcome.get()
}

/// Lets the loop look at its descriptors and deadlines a few times.
func turns(_ count: Int = 3, on reactor: Reactor) async {
    for _ in 0..<count {
        let gate = Gate(reactor)
        gate.deadline.set(after: 0)
        await gate.wait()
    }
}

/// Lets the loop turn until `isDone`; `false` when that takes 15 seconds.
func turns(on reactor: Reactor, until isDone: () -> Bool) async -> Bool {
    let limit = Reactor.clock() + 15_000_000_000
    while !isDone() {
        if Reactor.clock() > limit { return false }
        await turns(1, on: reactor)
    }
    return true
}

/// Waits for a deadline that is due at once, so that the loop's own dispatch resumes the task.
private final class Gate {
    private let reactor: Reactor
    private var waiter: UnsafeContinuation<Void, Never>?
    private(set) lazy var deadline = Deadline(on: reactor) { [unowned self] in
        waiter?.resume()
        waiter = nil
    }

    init(_ reactor: Reactor) { self.reactor = reactor }

    func wait() async { await withUnsafeContinuation { waiter = $0 } }
}
