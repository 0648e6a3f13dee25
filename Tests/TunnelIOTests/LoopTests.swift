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
            let gate = Gate(on: loop.reactor)
            let before = loop.executor.enqueues
            for _ in 0..<rounds {
                gate.openSoon()
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
            let gate = Gate(on: loop.reactor)
            let deadlines = [3, 1, 2, 4].map { value in
                Deadline(on: reactor) {
                    order.withLock { $0.append(value) }
                    if value == 4 { gate.openSoon() }
                }
            }
            for (deadline, value) in zip(deadlines, [3, 1, 2, 4] as [UInt64]) { deadline.set(after: value * 1_000_000) }
            let cancelled = Deadline(on: reactor) { order.withLock { $0.append(-1) } }
            cancelled.set(after: 0)
            cancelled.cancel()
            // Moved later: it must not fire at its first time.
            deadlines[1].set(after: 3_500_000)
            await gate.wait()
            withExtendedLifetime(deadlines) { loop.stop() }
        }
        loop.run()
        #expect(order.withLock { $0 } == [2, 3, 1, 4])
    }
}

/// Stops the group from a thread that is none of its loops.
func stop(_ group: LoopGroup) async {
    await withCheckedContinuation { continuation in
        _ = BlockingPool.files.submit {
            group.stop()
            continuation.resume()
        }
    }
}
