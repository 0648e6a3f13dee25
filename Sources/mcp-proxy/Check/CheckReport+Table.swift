/// The report for people: a line for each check, and below what is not in order why, what was seen, and what to do.
extension CheckReport {
    var table: String {
        var rows = [["LEVEL", "CHECK", "ROUTE", "WHAT"]]
        var details: [[String]] = [[]]
        // What comes after a failure is not reached, which that says already.
        for check in checks where check.level != .skip || check.summary != CheckResult.notReached {
            let fault = check.fault.map { " [\($0)]" } ?? ""
            rows.append([check.level.rawValue, check.id, check.route ?? "", check.summary + fault])
            details.append(Self.details(of: check))
        }
        let widths = (0..<3).map { column in rows.map { $0[column].count }.max() ?? 0 }
        var lines: [String] = []
        for (row, details) in zip(rows, details) {
            let columns = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            lines.append((columns + [row[3]]).joined(separator: "  "))
            lines += details.map { "      " + $0 }
        }
        lines.append("")
        let sums = [
            Self.sum(counts["fail"], "failure", "failures"), Self.sum(counts["warn"], "warning", "warnings"),
            Self.sum(counts["pass"], "passed", "passed"), Self.sum(counts["skip"], "skipped", "skipped"),
        ]
        lines.append("\(result.rawValue): \(sums.joined(separator: ", ")) in \(ms) ms")
        if let next { lines.append("next: \(next)") }
        return lines.joined(separator: "\n")
    }

    private static func details(of check: CheckResult) -> [String] {
        guard check.level == .warn || check.level == .fail else { return [] }
        return check.evidence.map { "seen  \($0)" } + (check.why.map { ["why   \($0)"] } ?? [])
            + check.next.map { "next  \($0)" }
    }

    private static func sum(_ count: Int?, _ one: String, _ many: String) -> String {
        "\(count ?? 0) \(count == 1 ? one : many)"
    }
}
