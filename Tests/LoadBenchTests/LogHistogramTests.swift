import Testing

@testable import tunnel_bench

struct LogHistogramTests {
    /// Every index stands for a range that begins right behind the one before: no value is lost or counted elsewhere.
    @Test func rangesTouchEachOther() {
        for index in 0..<3_000 {
            let bound = LogHistogram.upperBound(of: index)
            #expect(LogHistogram.index(of: bound) == index)
            #expect(LogHistogram.index(of: bound + 1) == index + 1)
        }
    }

    @Test(arguments: [1, 127, 128, 1_000, 999_999, 123_456_789, UInt64.max >> 1, UInt64.max])
    func errorIsSmall(_ value: UInt64) {
        let bound = LogHistogram.upperBound(of: LogHistogram.index(of: value))
        #expect(bound >= value)
        #expect(Double(bound - value) <= Double(value) / 64)
    }

    @Test func quantilesOfKnownValues() {
        var histogram = LogHistogram()
        for value in 1...100 { histogram.record(UInt64(value)) }
        #expect(histogram.count == 100)
        #expect(histogram.quantile(0.5) == 50)
        #expect(histogram.quantile(0.99) == 99)
        #expect(histogram.quantile(1) == 100)
        #expect(histogram.max == 100)
    }

    @Test func emptyHasNoQuantile() {
        var histogram = LogHistogram()
        #expect(histogram.quantile(0.99) == 0)
        histogram.record(5)
        histogram.removeAll()
        #expect(histogram.quantile(0.99) == 0)
        #expect(histogram.max == 0)
    }

    /// A quantile never claims more than was recorded.
    @Test func maximumBoundsQuantiles() {
        var histogram = LogHistogram()
        histogram.record(1_000_001)
        #expect(histogram.quantile(0.99) == 1_000_001)
    }
}
