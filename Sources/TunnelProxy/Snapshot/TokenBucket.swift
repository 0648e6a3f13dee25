internal import Synchronization

/// A token bucket for all loops together, in one word: the moment at which the bucket would be full again if nothing came
/// (the theoretical arrival time of the generic cell rate algorithm, ITU-T I.371). Taking a token is one compare-and-swap.
final class TokenBucket: Sendable {
    private let before = InlineArray<8, UInt64>(repeating: 0)
    private let fullAt = Atomic<UInt64>(0)
    private let after = InlineArray<8, UInt64>(repeating: 0)

    /// What the clocks of two loops may differ by, in nanoseconds.
    private static let slack: UInt64 = 1_000_000_000

    /// Takes one token.
    ///
    /// Each loop has a clock of its own that stands still during a turn: a difference of milliseconds, which no rate notices
    /// in the long run.
    ///
    /// - Parameters:
    ///   - now: nanoseconds of the loops' clock.
    ///   - interval: nanoseconds in which one token grows.
    ///   - burst: tokens in the full bucket, at least 1.
    /// - Returns: `nil` when one was there, else the nanoseconds until there is one.
    func take(now: UInt64, interval: UInt64, burst: UInt64) -> UInt64? {
        let (room, isVast) = interval.multipliedReportingOverflow(by: burst)
        guard !isVast else { return nil }
        var current = fullAt.load(ordering: .relaxed)
        while true {
            // Of a rate that was slower before a reload: what is owed is no more than an empty bucket.
            if current > now &+ room &+ Self.slack {
                let (isDone, seen) = fullAt.weakCompareExchange(
                    expected: current, desired: now &+ room, ordering: .relaxed)
                current = isDone ? now &+ room : seen
                continue
            }
            let next = max(current, now) &+ interval
            if next > now &+ room { return next &- now &- room }
            let (isDone, seen) = fullAt.weakCompareExchange(
                expected: current, desired: next, ordering: .relaxed)
            if isDone { return nil }
            current = seen
        }
    }
}
