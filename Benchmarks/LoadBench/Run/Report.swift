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

    private var rows: [Row] = []
    private var verdicts: [Verdict] = []

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
            guard results.count >= (target.isRatio ? 2 : 1) else { continue }
            let values = results[0].indices.map { index in
                let first = results[0][index][target.metric]
                return target.isRatio ? first / max(results[1][index][target.metric], 1e-9) : first
            }
            let value = Report.median(values)
            verdicts.append(
                Verdict(
                    scenario: scenario.name, text: target.text, value: value,
                    isReached: target.isAtLeast ? value >= target.bound : value <= target.bound))
        }
        // Ratios that nobody asked for are told too.
        if results.count == 2, scenario.targets.isEmpty {
            for metric in ["rate", "mib_per_second", "p99_us"] where results[0][0][metric] > 0 {
                let values = results[0].indices.map { results[0][$0][metric] / max(results[1][$0][metric], 1e-9) }
                rows[rows.count - 2].values["ratio_\(metric)"] = Report.median(values)
            }
        }
    }

    private static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard let last = sorted.last else { return 0 }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1
            ? sorted[middle] : (sorted[middle - 1] + (sorted.count > 1 ? sorted[middle] : last)) / 2
    }

    // MARK: Text

    /// One run, printed as it ends.
    static func line(_ scenario: String, _ side: String, _ result: Measurement) -> String {
        Text.left(scenario, 18) + Text.left(side, 18)
            + columns.map { Text.right($0.text(result.values), $0.width) }.joined()
            + "  load \(Text.number(result["load_cpu_share"] * 100, 0))%"
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
        Column(title: "CPU us/op", width: 11, metric: "cpu_us_per_operation", decimals: 1),
        Column(title: "CPU ms/MiB", width: 11, metric: "cpu_ms_per_mib", decimals: 3),
        Column(title: "peak MiB", width: 10, metric: "peak_kib", decimals: 1, scale: 1 / 1024),
        Column(title: "KiB/stream", width: 11, metric: "kib_per_stream", decimals: 1),
        Column(title: "start ms", width: 10, metric: "start_ms", decimals: 1),
        Column(title: "RSS MiB", width: 9, metric: "resident_mib", decimals: 1),
    ]

    /// A table of all sides, then what was asked for and whether it is reached.
    var table: String {
        let columns = Report.columns.filter { column in rows.contains { ($0.values[column.metric] ?? 0) != 0 } }
        var text = Text.left("scenario", 18) + Text.left("side", 18)
        text += columns.map { Text.right($0.title, $0.width) }.joined() + "\n"
        for row in rows {
            text += Text.left(row.scenario, 18) + Text.left(row.side, 18)
            // The 5,000 streams are not a rate.
            var values = row.values
            if values["kib_per_stream"] != nil { for name in ["rate", "cpu_us_per_operation"] { values[name] = 0 } }
            text += columns.map { Text.right($0.text(values), $0.width) }.joined() + "\n"
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
        return """
            {
              "results": [
            \(rows.joined(separator: ",\n"))
              ],
              "targets": [
            \(verdicts.joined(separator: ",\n"))
              ]
            }

            """
    }
}
