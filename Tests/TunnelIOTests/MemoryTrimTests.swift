import Testing
import TunnelIO
import TunnelTestSupport

@Suite struct MemoryTrimTests {
    /// One session less than the threshold is not worth it; those beyond it are in the same trim.
    @Test(arguments: [(255, 0), (256, 1), (1000, 1)])
    func manySessionsMakeOneTrim(_ sessions: Int, _ expected: Int) throws {
        #expect(try trims(after: [sessions]) == expected)
    }

    /// Counting begins anew, so the next storm has a trim of its own.
    @Test func eachStormHasItsOwn() throws {
        #expect(try trims(after: [300, 300]) == 2)
        #expect(try trims(after: [300, 200]) == 1)
    }

    private func trims(after storms: [Int]) throws -> Int {
        let done = ThreadSignal()
        return try onLoop { loop in
            let trim = MemoryTrim(after: 1_000_000) { done.post() }
            var count = 0
            // The test's own.
            let others = loop.reactor.pendingDeadlines
            for storm in storms {
                for _ in 0..<storm { trim.sessionEnded(on: loop.reactor) }
                // Not before its time.
                #expect(!done.wait(nanoseconds: 0))
                let isExpected = storm >= MemoryTrim.threshold
                #expect((loop.reactor.pendingDeadlines > others) == isExpected)
                _ = await turns(on: loop.reactor) { loop.reactor.pendingDeadlines == others }
                if isExpected, done.wait(seconds: 10) { count += 1 }
            }
            return count
        }
    }
}
