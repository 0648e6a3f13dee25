internal import TunnelCore
internal import TunnelIO

/// The page at `/`: one document, made of a ``Status`` and the last lines of the log by a pure function.
///
/// Without JavaScript it has all the facts of the moment. With it, ``parts`` that have changed come by `/events` and are put
/// in their places: each is the inside of the element of that id. So both are rendered here and nowhere else.
struct Page {
    let status: Status
    /// Whether times are told by the browser, which counts on; else they are told as they are now.
    var isLive = false

    /// Requests that are shown.
    static let maxRequests = 50
    /// Lines of the log that come with the document.
    static let maxLines = 200

    // MARK: The document

    /// - Parameters:
    ///   - lines: the last of the log; `nil` where it is not kept.
    ///   - version: of the parts, from which `/events` goes on.
    ///   - edition: of the document, which another set of routes makes another one.
    func document(lines: [LogRing.Line]?, version: UInt64, edition: Int = 1) -> [UInt8] {
        let title = status.domain ?? status.listener
        let markup: Markup = """
            <!doctype html>
            <html lang="en" data-now="\(status.time)" data-instance="\(status.instance.id)-\(edition)" data-version="\(version)">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>\(title) · mcp-proxy</title>
            <link rel="icon" href="data:,">
            <style>\(PageAssets.style)</style>
            </head>
            <body>
            <a class="skip" href="#routes-title">Skip to the routes</a>
            <header>
            <div><p class="mark">mcp-proxy</p><h1>\(title)</h1></div>
            <div class="states"><div id="state" role="status">\(state)</div><p id="link" class="pill quiet js-only">connecting</p></div>
            </header>
            <main>
            \(section("hops", "The way of a request", "<ol id=\"hops\" class=\"hops\">\(hops)</ol>"))
            <div id="facts" class="facts">\(facts)</div>
            <div id="notes">\(notes)</div>
            \(routesSection)
            \(requestsSection)
            \(logSection(lines))
            \(section("reloads", "Reloads", "<div id=\"reloads\">\(reloads)</div>"))
            </main>
            <footer>\(footer)</footer>
            <script>\(PageAssets.script)</script>
            </body>
            </html>

            """
        return Array(markup.text.utf8)
    }

    /// What changes, by the id of the element that it is the inside of.
    var parts: [(id: String, content: Markup)] {
        var parts: [(id: String, content: Markup)] = [
            ("state", state), ("hops", hops), ("facts", facts), ("notes", notes), ("tally", routesTally),
            ("requests", requestRows), ("reloads", reloads),
        ]
        for (index, route) in status.routes.enumerated() { parts.append(("r\(index)", row(route))) }
        return parts
    }

    func section(_ id: String, _ title: StaticString, _ content: Markup) -> Markup {
        let title = Markup(stringLiteral: title)
        return """
            <section class="card" aria-labelledby="\(id)-title"><h2 id="\(id)-title">\(title)</h2>\(content)</section>
            """
    }

    // MARK: Header and footer

    private var state: Markup {
        let failed = status.readiness.conditions.filter { !$0.holds }
        if status.readiness.ready { return "<p class=\"pill ok\">\(Self.light(.ok)) Ready</p>" }
        let reasons = failed.map { "\($0.id): \($0.detail)" }.joined(separator: "; ")
        return "<p class=\"pill fail\">\(Self.light(.fail)) Not ready</p><p class=\"why\">\(reasons)</p>"
    }

    private var footer: Markup {
        let instance = status.instance
        let libraries = instance.libraries.map { "\($0.name) \($0.version)" }.joined(separator: " · ")
        return """
            <p>mcp-proxy \(instance.version) · instance <code>\(instance.id)</code> · process \(instance.process) · \
            \(instance.loops) loops · started \(time(instance.started, ago: instance.uptimeSeconds))</p>
            <p>\(libraries)</p>
            <nav aria-label="For programs"><a href="status">/status</a> <a href="readyz">/readyz</a> \
            <a href="healthz">/healthz</a> <a href="metrics">/metrics</a> <a href="logs">/logs</a></nav>
            <noscript><p>This page does not change by itself without JavaScript. <a href="">Load it again</a></p></noscript>
            """
    }

    // MARK: Small pieces

    enum Light: String {
        case ok, warn, fail
        /// Nothing is known, or nothing has happened.
        case none

        var words: StaticString {
            switch self {
            case .ok: "in order"
            case .warn: "to be looked at"
            case .fail: "broken"
            case .none: "not known"
            }
        }
    }

    /// A light that differs by its sign, not by its colour alone.
    static func light(_ light: Light) -> Markup {
        let sign: Markup =
            switch light {
            case .ok: "<path d=\"M6 10.5l2.8 2.8L14.2 7.4\"/>"
            case .warn: "<path d=\"M10 5.5v6M10 14.2v.3\"/>"
            case .fail: "<path d=\"M6.8 6.8l6.4 6.4M13.2 6.8l-6.4 6.4\"/>"
            case .none: "<path d=\"M6.5 10h7\"/>"
            }
        let words = Markup(stringLiteral: light.words)
        return """
            <svg class="light \(light.rawValue)" viewBox="0 0 20 20" role="img" aria-label="\(words)">\
            <circle cx="10" cy="10" r="9"/>\(sign)</svg>
            """
    }

    /// A moment; with `ago` its distance from now.
    func time(_ moment: String, ago age: Int64? = nil) -> Markup {
        let words = isLive ? Self.clock(moment) : age.map { Self.ago($0) } ?? Self.clock(moment)
        let mark: Markup = age == nil ? "" : " data-ago"
        return "<time datetime=\"\(moment)\" title=\"\(moment)\"\(mark)>\(words)</time>"
    }

    func time(_ moment: Status.Moment?, else none: Markup) -> Markup {
        moment.map { time($0.time, ago: $0.ageSeconds) } ?? none
    }

    /// `13:05:12` of a time in RFC 3339.
    static func clock(_ moment: String) -> String { String(moment.dropFirst(11).prefix(8)) }

    /// As the script tells it, too.
    static func ago(_ seconds: Int64) -> String {
        switch seconds {
        case ..<1: "now"
        case ..<100: "\(seconds) s ago"
        case ..<6_000: "\(seconds / 60) min ago"
        case ..<172_800: "\(seconds / 3_600) h ago"
        default: "\(seconds / 86_400) d ago"
        }
    }
}
