import Testing

@testable import tunnel_bench

struct MarkdownTableTests {
    private let table = MarkdownTable(
        about: Report.About(commit: "0123abc", date: "2026-11-28", processors: 2, isQuick: false, runs: 3),
        table: "post-1  7\n")
    private var marks: String { "\(MarkdownTable.begin)\nold\n\(MarkdownTable.end)\n" }

    @Test func saysOfWhatItIs() {
        #expect(
            table.text == """
                \(MarkdownTable.begin)
                A run of commit `0123abc`, 2026-11-28, 2 processors, medians of 3 runs of each side.

                ```
                post-1  7
                ```
                \(MarkdownTable.end)

                """)
        var quick = table
        (quick.about.isQuick, quick.about.runs) = (true, 1)
        #expect(quick.text.contains("\nA short run (`--quick`) of commit"))
        #expect(quick.text.contains("one run of each side"))
    }

    @Test func takesThePlaceOfTheLastOneAndLeavesTheRest() throws {
        let page = "# Page\n\nbefore\n" + marks + "\nafter\n"
        #expect(try table.placed(in: page, "page.md") == "# Page\n\nbefore\n" + table.text + "\nafter\n")
        #expect(try table.placed(in: marks, "page.md") == table.text)
    }

    @Test(arguments: [
        "no mark\n", MarkdownTable.begin + "\n", MarkdownTable.end + "\n",
        MarkdownTable.end + "\n" + MarkdownTable.begin + "\n",
        MarkdownTable.begin + "\n" + MarkdownTable.begin + "\n" + MarkdownTable.end + "\n",
    ])
    func refusesAPageWithoutAPlace(_ page: String) throws {
        let error = #expect(throws: BenchError.self) { try table.placed(in: page, "page.md") }
        #expect("\(try #require(error))".contains("page.md"))
    }
}
