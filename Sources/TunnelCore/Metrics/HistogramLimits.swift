extension HistogramBounds {
    static let requestLimits = HistogramLimits(.request)
    static let operationLimits = HistogramLimits(.operation)
    static let lagLimits = HistogramLimits(.lag)
}

/// The bounds of a histogram where counting looks at them.
struct HistogramLimits: Sendable {
    private var limits = InlineArray<18, UInt64>(repeating: .max)
    private let count: Int

    init(_ bounds: HistogramBounds) {
        count = bounds.nanoseconds.count
        for index in bounds.nanoseconds.indices { limits[index] = bounds.nanoseconds[index] }
    }

    /// The bucket that a duration falls into. Most requests are short, so the search begins at the bottom.
    func bucket(_ nanoseconds: UInt64) -> Int {
        var index = 0
        while index < count, nanoseconds > limits[index] { index += 1 }
        return index
    }
}

/// How long a loop let events wait, counted on the loop: one for each turn. A value without heap memory.
package struct LagHistogram: Sendable {
    private static let buckets = 14
    private var counts = InlineArray<14, UInt64>(repeating: 0)
    private var nanoseconds: UInt64 = 0

    package init() {}

    package mutating func record(_ nanoseconds: UInt64) {
        counts[HistogramBounds.lagLimits.bucket(nanoseconds)] &+= 1
        self.nanoseconds &+= nanoseconds
    }

    /// All of them together, for reading.
    package static func += (a: inout LagHistogram, b: LagHistogram) {
        for index in 0..<buckets { a.counts[index] &+= b.counts[index] }
        a.nanoseconds &+= b.nanoseconds
    }

    package var value: HistogramValue {
        HistogramValue(
            bounds: .lag, counts: (0..<Self.buckets).map { counts[$0] }, sum: Double(nanoseconds) / 1_000_000_000)
    }
}
