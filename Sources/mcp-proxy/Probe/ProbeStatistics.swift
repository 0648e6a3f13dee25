/// What many probes have in common: how many failed, and how long the others took.
struct ProbeStatistics {
    private(set) var count = 0
    /// Of those that went well.
    private(set) var times: [Duration] = []

    mutating func take(_ report: ProbeReport) {
        count += 1
        if report.isGood { times.append(report.time) }
    }

    var lost: Int { count - times.count }

    /// The share that failed, from 0 to 1.
    var loss: Double { count == 0 ? 0 : Double(lost) / Double(count) }

    /// The time within which that share of the good ones was done: the nearest rank, so it is one that was measured.
    ///
    /// - Parameter percent: above 0, up to 100.
    /// - Returns: `nil` where none went well.
    func percentile(_ percent: Int) -> Duration? {
        guard !times.isEmpty else { return nil }
        let rank = (times.count * percent + 99) / 100
        return times.sorted()[min(max(rank, 1), times.count) - 1]
    }
}
