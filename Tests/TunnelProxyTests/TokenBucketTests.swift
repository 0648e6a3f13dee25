import Synchronization
import Testing
import TunnelIO

@testable import TunnelProxy

@Suite struct TokenBucketTests {
    private static let second: UInt64 = 1_000_000_000

    @Test func aFullBucketLetsABurstThroughAndThenTheRate() throws {
        let limit = try #require(RateLimit(10, burst: 3, TokenBucket()))
        let start = 5 * Self.second
        for _ in 0..<3 { #expect(limit.take(now: start) == nil) }
        #expect(limit.take(now: start) == Self.second / 10)
        #expect(limit.take(now: start + Self.second / 10 - 1) == 1)
        #expect(limit.take(now: start + Self.second / 10) == nil)
        #expect(limit.take(now: start + Self.second / 10) != nil)
        // A long silence fills it, and no more than that.
        for index in 0..<4 { #expect((limit.take(now: start + 60 * Self.second) == nil) == (index < 3)) }
    }

    @Test func withoutABurstASecondIsOne() throws {
        for (rate, burst) in [(5.0, 5), (0.5, 1), (2.5, 3)] {
            let limit = try #require(RateLimit(rate, burst: 0, TokenBucket()))
            var passed = 0
            while limit.take(now: Self.second) == nil { passed += 1 }
            #expect(passed == burst)
        }
        #expect(RateLimit(0, burst: 0, TokenBucket()) == nil)
    }

    /// A clock that is behind takes nothing twice, and one that is ahead gives nothing for nothing.
    @Test func loopsMayDisagreeAboutNow() throws {
        let limit = try #require(RateLimit(1, burst: 1, TokenBucket()))
        #expect(limit.take(now: 10 * Self.second) == nil)
        #expect(limit.take(now: 10 * Self.second - 5_000_000) == Self.second + 5_000_000)
        #expect(limit.take(now: 11 * Self.second) == nil)
    }

    /// A reload keeps the bucket. What a slow rate had given on credit is not owed to a fast one.
    @Test func aFasterRateIsInForceAtOnce() throws {
        let bucket = TokenBucket()
        let slow = try #require(RateLimit(1, burst: 3_600, bucket))
        while slow.take(now: Self.second) == nil {}
        let fast = try #require(RateLimit(100, burst: 100, bucket))
        let wait = try #require(fast.take(now: 2 * Self.second))
        #expect(wait <= Self.second / 100)
        #expect(fast.take(now: 2 * Self.second + wait) == nil)
    }

    @Test func manyThreadsTakeNoMoreThanThereIs() throws {
        let limit = try #require(RateLimit(0.001, burst: 1_000, TokenBucket()))
        let passed = Passed()
        try inParallel(4) {
            for _ in 0..<1_000 where limit.take(now: Self.second) == nil { passed.count.add(1, ordering: .relaxed) }
        }
        #expect(passed.count.load(ordering: .relaxed) == 1_000)
    }
}

private final class Passed: Sendable {
    let count = Atomic<Int>(0)
}

func inParallel(_ count: Int, _ body: @escaping @Sendable () -> Void) throws {
    let threads = try (0..<count).map { try SystemThread("test-\($0)", body) }
    for thread in threads { thread.join() }
}
