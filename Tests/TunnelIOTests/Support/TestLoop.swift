import Synchronization
import Testing
import TunnelIO

/// Why a body on a loop gave no result.
enum TestLoopError: Error { case hung }

/// Runs `body` on a loop that the calling thread serves, and returns what it returns. Once it is done, no deadline may
/// be left on the loop.
///
/// - Throws: ``TestLoopError/hung`` when it took 20 seconds: whoever waits on a loop and is not resumed fails its test
///   instead of stopping all of them.
func onLoop<R: Sendable>(
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
    let left = loop.assumeIsolated { $0.reactor.pendingDeadlines }
    #expect(left == 0, "a deadline outlived its work")
    return try outcome.get()
}

/// Lets the loop look at its descriptors and deadlines a few times.
func turns(_ count: Int = 3, on reactor: Reactor) async {
    for _ in 0..<count {
        let gate = LoopTests.Gate()
        gate.openSoon(on: reactor)
        await gate.wait()
    }
}
