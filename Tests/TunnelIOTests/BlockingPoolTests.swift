import Glibc
import Synchronization
import Testing
import TunnelIO

@Suite(.serialized) struct BlockingPoolTests {
    @Test func allWorkRunsAndNoMoreThreadsThanAllowed() {
        let pool = BlockingPool(threads: 3, queued: 1000)
        let counts = Mutex((running: 0, most: 0, done: 0))
        let finished = ThreadSignal()
        for _ in 0..<300 {
            #expect(
                pool.submit {
                    counts.withLock {
                        $0.running += 1
                        $0.most = max($0.most, $0.running)
                    }
                    let isLast = counts.withLock {
                        $0.running -= 1
                        $0.done += 1
                        return $0.done == 300
                    }
                    if isLast { finished.post() }
                })
        }
        #expect(finished.wait(seconds: 20))
        #expect(counts.withLock { $0.done } == 300)
        #expect(counts.withLock { $0.most } <= 3)
    }

    @Test func pastTheBoundWorkIsRefused() {
        let pool = BlockingPool(threads: 1, queued: 2)
        let (started, gate, finished) = (ThreadSignal(), ThreadSignal(), ThreadSignal())
        #expect(
            pool.submit {
                started.post()
                _ = gate.wait(seconds: 20)
            })
        #expect(started.wait(seconds: 20))
        #expect(pool.submit {})
        #expect(pool.submit { finished.post() })
        #expect(!pool.submit {})
        gate.post()
        #expect(finished.wait(seconds: 20))
        #expect(pool.submit { finished.post() })
        #expect(finished.wait(seconds: 20))
    }

    /// An idle thread is woken, whether it is just falling asleep or not.
    @Test func aQuietPoolTakesWorkAgain() {
        let pool = BlockingPool(threads: 2, queued: 8)
        let done = ThreadSignal()
        for round in 0..<200 {
            #expect(pool.submit { done.post() })
            #expect(done.wait(seconds: 20), "round \(round)")
        }
    }

    /// Two pieces of work at once need two threads, also where one of them sleeps already.
    @Test func anIdleThreadIsNotCountedTwice() {
        let pool = BlockingPool(threads: 2, queued: 8)
        let (first, second, done) = (ThreadSignal(), ThreadSignal(), ThreadSignal())
        #expect(pool.submit { done.post() })
        #expect(done.wait(seconds: 20))
        for _ in 0..<50 {
            _ = pool.submit {
                first.post()
                _ = second.wait(seconds: 20)
                done.post()
            }
            _ = pool.submit {
                second.post()
                _ = first.wait(seconds: 20)
                done.post()
            }
            #expect(done.wait(seconds: 20) && done.wait(seconds: 20))
        }
    }

    /// What is cancelled while it waits does not run, lets go of what it holds at once, and frees its place.
    @Test func cancelledWorkIsDropped() throws {
        final class Held: Sendable {}
        let pool = BlockingPool(threads: 1, queued: 2)
        let (started, gate, done) = (ThreadSignal(), ThreadSignal(), ThreadSignal())
        let ran = Flag()
        let first = try #require(
            pool.enqueue {
                started.post()
                _ = gate.wait(seconds: 20)
            })
        #expect(started.wait(seconds: 20))
        weak var gone: Held?
        let second: BlockingPool.Work?
        do {
            let held = Held()
            gone = held
            second = pool.enqueue { withExtendedLifetime(held) { ran.set() } }
        }
        #expect(gone != nil)
        #expect(pool.submit { done.post() })
        #expect(!pool.submit {})
        #expect(second?.cancel() == true)
        #expect(gone == nil)
        #expect(second?.cancel() == false)
        #expect(pool.submit { done.post() })
        #expect(!first.cancel(), "it has begun")
        gate.post()
        #expect(done.wait(seconds: 20) && done.wait(seconds: 20))
        #expect(!ran.isSet)
    }

    /// A pool that is full and stuck stops no other kind of work: a new certificate is read while no name resolves and
    /// every core signs.
    @Test func kindsDoNotWaitForEachOther() {
        let pools = [BlockingPool.files, .signatures, .shutdown]
        #expect(Set(pools.map(ObjectIdentifier.init)).count == pools.count)
        for pool in pools {
            let (gate, done) = (ThreadSignal(), ThreadSignal())
            let others = pools.filter { $0 !== pool }
            // More than any of them has threads.
            for other in others { for _ in 0..<20 { #expect(other.submit { _ = gate.wait(seconds: 20) }) } }
            #expect(pool.submit { done.post() })
            #expect(done.wait(seconds: 20))
            for _ in 0..<(20 * others.count) { gate.post() }
        }
    }

    @Test func signaturesStandBehindTheLoops() {
        let niceness = Mutex<CInt>(-99)
        let done = ThreadSignal()
        let before = currentNiceness()
        #expect(
            BlockingPool.signatures.submit {
                niceness.withLock { $0 = currentNiceness() }
                done.post()
            })
        #expect(done.wait(seconds: 20))
        #expect(niceness.withLock { $0 } == min(before + 1, 19))
    }
}
