/// The results of a run, as a table and as JSON.
struct Report {
    private struct Row {
        var scenario: String
        var side: String
        /// The medians over the runs.
        var values: [String: Double]
        var runs: Int
        var cipher: String
    }
    private struct Verdict {
        var scenario: String
        var text: String
        var value: Double
        var isReached: Bool
    }

    private struct Ratio {
        var scenario: String
        var side: String
        var over: String
        var metric: String
        var pairs: [Double]
    }

    /// What was measured, where and when.
    var about = About()
    private var rows: [Row] = []
    private var verdicts: [Verdict] = []
    private var ratios: [Ratio] = []

    struct About {
        var commit = "unknown"
        /// As in 2026-11-28.
        var date = ""
        var processors = 1
        var isQuick = false
        var runs = 1
    }

    mutating func add(_ scenario: Scenario, _ sides: [Scenario.Side], _ results: [[Measurement]]) {
        for (side, runs) in zip(sides, results) {
            var values: [String: Double] = [:]
            for name in runs.first.map({ $0.values.keys.sorted() }) ?? [] {
                values[name] = Report.median(runs.map { $0[name] })
            }
            rows.append(
                Row(
                    scenario: scenario.name, side: side.label, values: values, runs: runs.count,
                    cipher: runs.first?.cipher ?? ""))
        }
        for target in scenario.targets {
            // The side to compare with may not be there: nobody asked for nginx, or for this side.
            let over = target.over ?? scenario.sides.first { $0.server == .nginx }?.label
            let other = over.map { label in sides.firstIndex { $0.label == label } } ?? 1
            guard let other, !target.isRatio || other < results.count else { continue }
            let values = results[0].indices.map { index in
                let first = results[0][index][target.metric]
                return target.isRatio ? first / max(results[other][index][target.metric], 1e-9) : first
            }
            let value = Report.median(values)
            verdicts.append(
                Verdict(
                    scenario: scenario.name, text: target.text, value: value,
                    isReached: target.isAtLeast ? value >= target.bound : value <= target.bound))
        }
        addRatios(scenario.name, sides, results)
    }

    /// The first side over each other one, pair by pair.
    private mutating func addRatios(_ scenario: String, _ sides: [Scenario.Side], _ results: [[Measurement]]) {
        for (side, others) in zip(sides, results).dropFirst() {
            for metric in Report.comparable {
                let pairs = zip(results[0], others).filter { $0[metric] > 0 && $1[metric] > 0 }
                guard !pairs.isEmpty else { continue }
                ratios.append(
                    Ratio(
                        scenario: scenario, side: sides[0].label, over: side.label, metric: metric,
                        pairs: pairs.map { $0[metric] / $1[metric] }))
            }
        }
    }

    private static let comparable = [
        "rate", "mib_per_second", "p50_us", "p99_us", "cpu_us_per_operation", "cpu_ms_per_mib", "kib_per_stream",
    ]

    private static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return 0 }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    // MARK: Text

    /// One run, printed as it ends.
    static func line(_ scenario: String, _ side: String, _ result: Measurement) -> String {
        Text.left(scenario, 18) + Text.left(side, 18) + cells(result.values, columns)
    }

    private struct Column {
        var title: String
        var width: Int
        var metric: String
        var decimals: Int
        var scale = 1.0

        func text(_ values: [String: Double]) -> String {
            guard let value = values[metric], value != 0 else { return "-" }
            return Text.number(value * scale, decimals)
        }
    }

    private static let columns = [
        Column(title: "per second", width: 11, metric: "rate", decimals: 0),
        Column(title: "MiB/s", width: 8, metric: "mib_per_second", decimals: 0),
        Column(title: "p50 us", width: 10, metric: "p50_us", decimals: 1),
        Column(title: "p90 us", width: 10, metric: "p90_us", decimals: 1),
        Column(title: "p99 us", width: 10, metric: "p99_us", decimals: 1),
        Column(title: "beside/s", width: 10, metric: "beside_rate", decimals: 0),
        Column(title: "beside MiB/s", width: 13, metric: "beside_mib_per_second", decimals: 1),
        Column(title: "resumed %", width: 10, metric: "resumed_share", decimals: 0, scale: 100),
        Column(title: "CPU us/op", width: 11, metric: "cpu_us_per_operation", decimals: 1),
        Column(title: "CPU ms/MiB", width: 11, metric: "cpu_ms_per_mib", decimals: 3),
        Column(title: "load %", width: 8, metric: "load_cpu_share", decimals: 0, scale: 100),
        Column(title: "others %", width: 10, metric: "foreign_cpu_share", decimals: 0, scale: 100),
        Column(title: "peak MiB", width: 10, metric: "peak_kib", decimals: 1, scale: 1 / 1024),
        Column(title: "KiB/stream", width: 11, metric: "kib_per_stream", decimals: 1),
        Column(title: "start ms", width: 10, metric: "start_ms", decimals: 1),
        Column(title: "RSS MiB", width: 9, metric: "resident_mib", decimals: 1),
    ]

    /// The columns' names, above the runs as they end.
    static var head: String {
        Text.left("scenario", 18) + Text.left("side", 18) + columns.map { Text.right($0.title, $0.width) }.joined()
    }

    private static func cells(_ values: [String: Double], _ columns: [Column]) -> String {
        var values = values
        // Idle streams have no rate, and whole downloads and uploads say nothing beside their bytes.
        if values["kib_per_stream"] != nil || values["mib_per_second"] ?? 0 > 0 {
            for name in ["rate", "cpu_us_per_operation", "p50_us", "p90_us", "p99_us"] { values[name] = 0 }
        }
        return columns.map { Text.right($0.text(values), $0.width) }.joined()
    }

    /// A table of all sides, then what was asked for and whether it is reached.
    var table: String {
        let columns = Report.columns.filter { column in rows.contains { ($0.values[column.metric] ?? 0) != 0 } }
        var text = Text.left("scenario", 18) + Text.left("side", 18)
        text += columns.map { Text.right($0.title, $0.width) }.joined() + "\n"
        for row in rows {
            text += Text.left(row.scenario, 18) + Text.left(row.side, 18)
            text += Report.cells(row.values, columns) + "\n"
        }
        if !verdicts.isEmpty { text += "\n" }
        for verdict in verdicts {
            text += Text.left(verdict.scenario, 18) + Text.left(verdict.text, 28)
            text += Text.right(Text.number(verdict.value, 2), 9) + (verdict.isReached ? "  reached\n" : "  MISSED\n")
        }
        return text
    }

    var json: String {
        let rows = rows.map { row in
            let values = row.values.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \(Text.plain($0.value))" }
            return """
                    {"scenario": "\(row.scenario)", "side": "\(row.side)", "runs": \(row.runs), "cipher": "\(row.cipher)", \
                \(values.joined(separator: ", "))}
                """
        }
        let verdicts = verdicts.map { verdict in
            """
                {"scenario": "\(verdict.scenario)", "target": "\(verdict.text)", "value": \(Text.plain(verdict.value)), \
            "reached": \(verdict.isReached)}
            """
        }
        let ratios = ratios.map { ratio in
            """
                {"scenario": "\(ratio.scenario)", "side": "\(ratio.side)", "over": "\(ratio.over)", \
            "metric": "\(ratio.metric)", "value": \(Text.plain(Report.median(ratio.pairs))), \
            "pairs": [\(ratio.pairs.map(Text.plain).joined(separator: ", "))]}
            """
        }
        return """
            {
              "commit": "\(about.commit)", "date": "\(about.date)", "processors": \(about.processors),
              "quick": \(about.isQuick), "runs": \(about.runs),
              "results": [
            \(rows.joined(separator: ",\n"))
              ],
              "targets": [
            \(verdicts.joined(separator: ",\n"))
              ],
              "ratios": [
            \(ratios.joined(separator: ",\n"))
              ]
            }

            """
    }
}
