import Testing
import TunnelCore

@Suite struct HistogramTests {
    /// A bound belongs to its bucket; what is above the last has one of its own.
    @Test func countsByBound() {
        for (index, bound) in Histogram.bounds.enumerated() {
            var histogram = Histogram()
            histogram.record(bound)
            histogram.record(bound + .nanoseconds(1))
            #expect(histogram.counts[index] == 1 && histogram.counts[index + 1] == 1 && histogram.count == 2)
        }
        #expect(Histogram.bounds == Histogram.bounds.sorted())
        #expect(Histogram().counts.count == Histogram.bounds.count + 1)
    }

    @Test func sumsMicroseconds() {
        var histogram = Histogram()
        histogram.record(.milliseconds(2))
        histogram.record(.seconds(3))
        #expect(histogram.microseconds == 3_002_000)
        histogram.record(.seconds(-1))
        #expect(histogram.microseconds == 3_002_000 && histogram.count == 3 && histogram.counts[0] == 1)
    }

    @Test func adds() {
        var a = Histogram(), b = Histogram(), both = Histogram()
        for (index, bound) in Histogram.bounds.enumerated() {
            if index % 2 == 0 { a.record(bound) } else { b.record(bound) }
            both.record(bound)
        }
        a += b
        #expect(a == both)
    }
}
