/// Counts values by size with a relative error below 1/64: each power of two is cut into 64 equal steps.
///
/// Recording is one shift and one increment, so that the load generator can afford it for each request.
struct LogHistogram {
    private static let stepBits = 6
    private static let steps = 1 << stepBits
    private var counts = [UInt32](repeating: 0, count: (64 - stepBits + 1) * steps)
    private(set) var count: UInt64 = 0
    private(set) var max: UInt64 = 0

    mutating func record(_ value: UInt64) {
        counts[LogHistogram.index(of: value)] &+= 1
        count &+= 1
        if value > max { max = value }
    }

    mutating func removeAll() {
        for index in counts.indices { counts[index] = 0 }
        (count, max) = (0, 0)
    }

    /// The value that `fraction` of all recorded ones do not exceed; 0 when there are none.
    func quantile(_ fraction: Double) -> UInt64 {
        guard count > 0 else { return 0 }
        let rank = Swift.max(1, UInt64((Double(count) * fraction).rounded(.up)))
        var seen: UInt64 = 0
        for (index, number) in counts.enumerated() where number > 0 {
            seen += UInt64(number)
            // The largest recorded value bounds the last step.
            if seen >= rank { return Swift.min(LogHistogram.upperBound(of: index), max) }
        }
        return max
    }

    /// Values below 128 have a place each; above, the six bits behind the leading one choose the step.
    static func index(of value: UInt64) -> Int {
        guard value >= UInt64(steps) else { return Int(value) }
        let exponent = 63 - value.leadingZeroBitCount
        let step = Int(truncatingIfNeeded: value >> UInt64(exponent - stepBits)) & (steps - 1)
        return (exponent - stepBits + 1) * steps + step
    }

    /// The largest value that `index` stands for.
    static func upperBound(of index: Int) -> UInt64 {
        guard index >= steps else { return UInt64(index) }
        let shift = UInt64(index / steps - 1)
        let first = UInt64(steps + index % steps) << shift
        return first &+ ((1 << shift) &- 1)
    }
}
