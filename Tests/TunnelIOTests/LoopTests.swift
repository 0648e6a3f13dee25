import Synchronization
import Testing
import TunnelIO

@Suite struct LoopTests {
    /// Canary for the toolchain: a resumption on the loop must cost one trip through its queue, and stay on its thread.
    @Test func suspensionCostsOneEnqueue() throws {
        let loop = try Loop()
        let rounds = 1_000
        let counted = Mutex((before: 0, after: 0))
        loop.spawn { loop in
            let gate = Gate()
            let before = loop.executor.enqueues
            for _ in 0..<rounds {
                gate.openSoon(on: loop.reactor)
                await gate.wait()
            }
            counted.withLock { $0 = (before, loop.executor.enqueues) }
            loop.stop()
        }
        loop.run()
        let (before, after) = counted.withLock { $0 }
        #expect(after - before >= rounds)
        #expect(after - before <= rounds + 3)
    }

    /// Waits for a deadline that is due at once, so that the loop's own dispatch resumes the task.
    final class Gate {
        private var waiter: UnsafeContinuation<Void, Never>?
        private lazy var deadline = Deadline { [unowned self] in
            waiter?.resume()
            waiter = nil
        }
        func openSoon(on reactor: Reactor) { reactor.set(deadline, after: 0) }
        func wait() async { await withUnsafeContinuation { waiter = $0 } }
    }

    @Test func workFromAnotherThreadRunsOnTheLoop() async throws {
        let group = try LoopGroup(count: 2)
        for loop in group.loops {
            let isOnLoop = await withCheckedContinuation { continuation in
                loop.spawn { loop in continuation.resume(returning: loop.executor.isIsolatingCurrentContext() == true) }
            }
            #expect(isOnLoop)
        }
        await stop(group)
    }

    @Test func deadlinesFireInOrder() throws {
        let loop = try Loop()
        let order = Mutex<[Int]>([])
        loop.spawn { loop in
            let reactor = loop.reactor
            var deadlines: [Deadline] = []
            for value in [3, 1, 2, 4] {
                let deadline = Deadline {
                    order.withLock { $0.append(value) }
                    if value == 4 { reactor.loop.stop() }
                }
                deadlines.append(deadline)
                reactor.set(deadline, after: UInt64(value) * 1_000_000)
            }
            let removed = Deadline { order.withLock { $0.append(-1) } }
            reactor.set(removed, after: 0)
            reactor.remove(removed)
            // Moved later: it must not fire at its first time.
            reactor.set(deadlines[1], after: 3_500_000)
        }
        loop.run()
        #expect(order.withLock { $0 } == [2, 3, 1, 4])
    }
}

/// Stops the group from a thread that is none of its loops.
func stop(_ group: LoopGroup) async {
    await withCheckedContinuation { continuation in
        _ = BlockingPool.shared.submit {
            group.stop()
            continuation.resume()
        }
    }
}
