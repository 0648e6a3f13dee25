import Testing

@testable import tunnel_bench

struct ReportTests {
    private let sides = [Scenario.Side.proxy, .nginx, .haproxy]

    private func runs(_ values: [Double]) -> [Measurement] {
        values.map { Measurement(values: ["seconds": 1, "cpu_us_per_operation": $0, "rate": 10]) }
    }

    /// Each pair has its own ratio, and their median counts: not the ratio of the medians, which is 1 here.
    @Test func ratiosAreThoseOfThePairs() {
        var report = Report()
        let scenario = Scenario("post-1", .requests, 1)
        report.add(scenario, sides, [runs([10, 20, 30]), runs([40, 20, 10]), runs([10, 0, 60])])
        #expect(
            report.json.contains(
                #""over": "nginx", "metric": "cpu_us_per_operation", "value": 1.0, "pairs": [0.25, 1.0, 3.0]"#))
        // A run without the figure has no pair.
        #expect(report.json.contains(#""over": "HAProxy", "metric": "cpu_us_per_operation", "value": 0.75, "#))
        #expect(report.json.contains(#""metric": "rate", "value": 1.0, "pairs": [1.0, 1.0, 1.0]"#))
        #expect(!report.json.contains(#""metric": "p99_us""#))
    }

    @Test func aTargetBesideNginxNeedsNginx() {
        let target = Scenario.Target(metric: "rate", isAtLeast: true, bound: 1, text: "rate >= nginx")
        let scenario = Scenario("post-1", .requests, 1, targets: [target])
        var report = Report()
        report.add(scenario, [.proxy, .haproxy], [runs([10]), runs([40])])
        #expect(!report.table.contains("rate >= nginx"))
        report.add(scenario, [.proxy, .haproxy, .nginx], [runs([10]), runs([40]), runs([10])])
        #expect(report.table.contains("rate >= nginx"))
    }

    @Test func theFileSaysWhatItIsOf() {
        var report = Report()
        report.about = Report.About(commit: "0123abc", date: "2026-11-28", processors: 2, isQuick: true, runs: 1)
        #expect(
            report.json.hasPrefix(
                """
                {
                  "commit": "0123abc", "date": "2026-11-28", "processors": 2,
                  "quick": true, "runs": 1,

                """))
    }
}
