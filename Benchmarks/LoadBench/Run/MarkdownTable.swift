import Glibc

/// A run's results as a part of a page: what was measured, when, of which commit, and the table.
struct MarkdownTable {
    static let begin = "<!-- tunnel-bench: begin -->"
    static let end = "<!-- tunnel-bench: end -->"

    var about: Report.About
    var table: String

    var text: String {
        let kind = about.isQuick ? "A short run (`--quick`)" : "A run"
        let times = about.runs == 1 ? "one run of each side" : "medians of \(about.runs) runs of each side"
        return """
            \(MarkdownTable.begin)
            \(kind) of commit `\(about.commit)`, \(about.date), \(about.processors) processors, \(times).

            ```
            \(table)```
            \(MarkdownTable.end)

            """
    }

    /// Puts the results in the place of those in a page, or makes a new file of them.
    ///
    /// - Throws: ``BenchError`` for a page that has not both marks, one after the other, once: nothing is written then.
    func write(to path: String) throws(BenchError) {
        guard let bytes = TextFile.read(path) else { return try TextFile.write(text, to: path) }
        try TextFile.write(try placed(in: String(decoding: bytes, as: UTF8.self), path), to: path)
    }

    func placed(in page: String, _ name: String) throws(BenchError) -> String {
        let lines = page.split(separator: "\n", omittingEmptySubsequences: false)
        let begins = lines.indices.filter { lines[$0] == MarkdownTable.begin }
        let ends = lines.indices.filter { lines[$0] == MarkdownTable.end }
        guard begins.count == 1, ends.count == 1, begins[0] < ends[0] else {
            throw BenchError("\(name): needs the lines \(MarkdownTable.begin) and \(MarkdownTable.end), once each")
        }
        let before = lines[..<begins[0]].map { $0 + "\n" }.joined()
        return before + text + lines[(ends[0] + 1)...].joined(separator: "\n")
    }

    /// Today, in UTC.
    static func today() -> String {
        var now = time(nil), parts = tm()
        gmtime_r(&now, &parts)
        var characters = [CChar](repeating: 0, count: 16)
        let count = strftime(&characters, characters.count, "%Y-%m-%d", &parts)
        return String(decoding: characters[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
