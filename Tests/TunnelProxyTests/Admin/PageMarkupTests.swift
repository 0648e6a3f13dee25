import Testing
import TunnelCore
import TunnelIO

@testable import TunnelProxy

@Suite struct PageMarkupTests {
    @Test(arguments: [
        ("plain", "plain"), ("", ""), ("<b>", "&lt;b&gt;"), ("a&b", "a&amp;b"), ("\"'", "&quot;&#39;"),
        ("</script><script>", "&lt;/script&gt;&lt;script&gt;"), ("a\nb\u{0}", "a\\nb\\x00"),
        ("\u{202E}txt", "\\u202etxt"),
        ("grüß", "grüß"), ("&amp;", "&amp;amp;"),
    ]) func escapes(_ text: String, _ expected: String) {
        let markup: Markup = "<i title=\"\(text)\">\(text)</i>"
        #expect(markup.text == "<i title=\"\(expected)\">\(expected)</i>")
    }

    @Test func markupStaysMarkup() {
        let inner: Markup = "<b>\("<")</b>"
        let outer: Markup = "<p>\(inner)\([inner, inner])\(7)</p>"
        #expect(outer.text == "<p><b>&lt;</b><b>&lt;</b><b>&lt;</b>7</p>")
    }

    @Test func codeInProse() {
        #expect(Markup.prose("set `a < b` and `c`").text == "set <code>a &lt; b</code> and <code>c</code>")
        #expect(Markup.prose("one ` alone <").text == "one <code> alone &lt;</code>")
    }

    @Test(
        arguments: [
            (0, "now"), (-5, "now"), (1, "1 s ago"), (99, "99 s ago"), (100, "1 min ago"), (5_999, "99 min ago"),
            (6_000, "1 h ago"), (172_799, "47 h ago"), (172_800, "2 d ago"),
        ] as [(Int64, String)]) func ages(_ seconds: Int64, _ words: String)
    { #expect(Page.ago(seconds) == words) }

    @Test func sparklinesBreakWhereNothingHappened() {
        let history = Status.History(
            requests: [0, 1, 2, 0, 3], failures: [0, 0, 1, 0, 3], latencyMs: [nil, 10, 5, nil, 10])
        let svg = Page.sparkline(history).text
        #expect(svg.contains("d=\"M2 3h2L4 11M8 3h2\"") && svg.contains("d=\"M4 23v4M8 23v4\""))
        #expect(svg.contains("6 requests, 4 failed, first byte after 10 ms at most"))
        #expect(!Page.sparkline(nil).text.contains("svg"))
    }
}

@Suite struct PublicFieldsTests {
    /// Who adds a field decides whether its value may leave the machine in a report.
    @Test func everyFieldWasThoughtAbout() {
        for field in ProxyConfiguration.fields {
            let isPublic = PublicFields.names.contains(field.name),
                isWithheld = PublicFields.withheld.contains(field.name)
            #expect(isPublic != isWithheld, "\(field.name): add it to names or to withheld in PublicFields.swift")
        }
    }
}
