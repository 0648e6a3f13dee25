/// Counts durations by size. A plain value: one per loop, summed by whoever reads.
public struct Histogram: Hashable, Sendable {
    /// The upper bounds of the buckets but the last, which has none; a duration equal to a bound is below it. They reach
    /// from a hop on the same machine to a long-lived event stream.
    public static let bounds: [Duration] = [
        .microseconds(250), .microseconds(500), .milliseconds(1), .microseconds(2_500), .milliseconds(5),
        .milliseconds(10), .milliseconds(25), .milliseconds(50), .milliseconds(100), .milliseconds(250),
        .milliseconds(500), .seconds(1), .milliseconds(2_500), .seconds(5), .seconds(10), .seconds(60), .seconds(600),
    ]

    /// How many durations fell into each bucket, each counted once; one more than there are bounds.
    public private(set) var counts = [UInt64](repeating: 0, count: bounds.count + 1)
    /// The sum of all durations, in microseconds.
    public private(set) var microseconds: UInt64 = 0

    public init() {}

    /// The number of durations.
    public var count: UInt64 { counts.reduce(0, &+) }

    /// Counts one duration. A negative one, from a clock set back, counts as zero.
    public mutating func record(_ duration: Duration) {
        let index = Self.bounds.firstIndex { duration <= $0 } ?? Self.bounds.count
        counts[index] &+= 1
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0 else { return }
        microseconds &+= UInt64(seconds) &* 1_000_000 &+ UInt64(attoseconds / 1_000_000_000_000)
    }

    public static func += (a: inout Self, b: Self) {
        for index in a.counts.indices { a.counts[index] &+= b.counts[index] }
        a.microseconds &+= b.microseconds
    }
}
