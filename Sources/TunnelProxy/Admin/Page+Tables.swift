internal import TunnelCore
internal import TunnelIO

/// The lower part of the page: routes, requests, and the log.
extension Page {
    // MARK: Routes

    var routesSection: Markup {
        let rows = status.routes.enumerated().map { index, route -> Markup in
            "<tr id=\"r\(index)\">\(row(route))</tr>\n"
        }
        return section(
            "routes", "Routes",
            """
            <div class="bar"><p id="tally" role="status">\(routesTally)</p>
            <div class="js-only tools"><label>Find <input id="find" type="search" autocomplete="off" spellcheck="false"></label>
            <label><input id="bad" type="checkbox"> with failures only</label></div></div>
            <div class="scroll" role="group" aria-labelledby="routes-title" tabindex="0"><table class="routes">
            <thead><tr><th scope="col">Route</th><th scope="col" class="wide">Upstream</th><th scope="col">Verdict</th>\
            <th scope="col">Ten minutes</th><th scope="col" class="num mid">First byte</th><th scope="col" class="num wide">Requests</th>\
            <th scope="col" class="num wide">Failed</th><th scope="col" class="wide">Last</th></tr></thead>
            <tbody id="rows">\(rows)</tbody></table></div>
            """)
    }

    var routesTally: Markup {
        let order: [RouteVerdict] = [.failing, .refused, .degraded, .ok, .idle]
        let counts = order.compactMap { verdict -> String? in
            let count = status.routes.count { $0.verdict == verdict }
            return count == 0 ? nil : "\(count) \(verdict.rawValue)"
        }
        return "\(counts.joined(separator: " · "))"
    }

    /// The cells of a route. `data-bad` marks those that fail.
    func row(_ route: Status.RouteFacts) -> Markup {
        let (light, isBad): (Light, Bool) =
            switch route.verdict {
            case .ok: (.ok, false)
            case .degraded: (.warn, true)
            case .failing, .refused: (.fail, true)
            case .idle: (.none, false)
            }
        let url: Markup =
            route.url.map { "<a href=\"\($0)\" rel=\"noreferrer\">\(String($0.dropFirst(8)))</a>" } ?? ""
        let reason: Markup = route.reason.isEmpty ? "" : "<span class=\"reason\">\(Markup.prose(route.reason))</span>"
        let latency: Markup = route.latencyMs.map { "\(Self.milliseconds($0))" } ?? "–"
        let status: Markup = route.lastStatus.map { " · \($0)" } ?? ""
        let last: Markup = route.last.map { "\(time($0, else: ""))\(status)" } ?? "–"
        let mark: Markup = isBad ? " data-bad" : ""
        return """
            <th scope="row"\(mark)><span class="key">\(route.route)</span>\(url)</th><td class="wide"><code>\(route.upstream)</code></td>\
            <td><span class="verdict">\(Self.light(light)) \(route.verdict.rawValue)</span>\(reason)</td>\
            <td>\(Self.sparkline(route.history))</td><td class="num mid">\(latency)</td><td class="num wide">\(route.requests)</td>\
            <td class="num wide">\(route.failures)</td><td class="wide">\(last)</td>
            """
    }

    /// A line of the time to the first byte, and a mark at the bottom for each interval with failures.
    static func sparkline(_ history: Status.History?) -> Markup {
        guard let history else { return "<span class=\"quiet\">no requests</span>" }
        let highest = max(history.latencyMs.compactMap { $0 }.max() ?? 0, 1)
        var line = "", isDrawing = false
        for (x, latency) in history.latencyMs.enumerated() {
            guard let latency else {
                isDrawing = false
                continue
            }
            let y = 20 - Int((latency / highest * 17).rounded())
            // A point alone gets a short line, or it could not be seen.
            line += isDrawing ? "L\(x * 2) \(y)" : "M\(x * 2) \(y)h2"
            isDrawing = true
        }
        var marks = ""
        for (x, count) in history.failures.enumerated() where count > 0 { marks += "M\(x * 2) 23v4" }
        let requests = history.requests.reduce(0) { $0 + Int($1) }
        let failures = history.failures.reduce(0) { $0 + Int($1) }
        let words = "\(requests) requests, \(failures) failed, first byte after \(milliseconds(highest)) at most"
        return """
            <svg class="spark" viewBox="0 0 120 28" role="img" aria-label="\(words)"><path class="base" d="M0 27.5h120"/>\
            <path d="\(line)"/>\
            <path class="bad" d="\(marks)"/></svg>
            """
    }

    static func milliseconds(_ value: Double) -> String {
        if value < 10 { return "\((value * 10).rounded() / 10) ms" }
        if value < 10_000 { return "\(Int(value.rounded())) ms" }
        return "\(Int((value / 1_000).rounded())) s"
    }

    // MARK: Requests

    var requestsSection: Markup {
        section(
            "requests", "Recent requests",
            """
            <div class="scroll" role="group" aria-labelledby="requests-title" tabindex="0"><table class="requests">
            <thead><tr><th scope="col">Ended</th><th scope="col">Route</th><th scope="col">Request</th><th scope="col">Status</th>\
            <th scope="col" class="num mid">Took</th><th scope="col" class="num wide">In</th><th scope="col" class="num wide">Out</th>\
            <th scope="col" class="wide">Failed of</th></tr></thead>
            <tbody id="requests">\(requestRows)</tbody></table></div>
            """)
    }

    var requestRows: Markup {
        let rows = status.requests.prefix(Self.maxRequests).map { request -> Markup in
            let mark: Markup = request.cause == nil ? "" : " class=\"bad\""
            let cause: Markup = request.cause.map { "<code>\($0)</code>" } ?? ""
            return """
                <tr\(mark)><td>\(time(request.time, ago: request.ageSeconds))</td><td>\(request.route ?? request.host)</td>\
                <td><code>\(request.method) \(request.path)</code></td><td>\(request.status == 0 ? "–" : "\(request.status)")</td>\
                <td class="num mid">\(Self.milliseconds(request.durationMs))</td><td class="num wide">\(Self.size(request.bytesIn))</td>\
                <td class="num wide">\(Self.size(request.bytesOut))</td><td class="wide">\(cause)</td></tr>

                """
        }
        return rows.isEmpty ? "<tr><td colspan=\"8\" class=\"quiet\">None has ended yet.</td></tr>" : "\(rows)"
    }

    static func size(_ bytes: UInt64) -> String {
        if bytes < 10_000 { return "\(bytes) B" }
        if bytes < 10_000_000 { return "\(bytes / 1_000) kB" }
        return "\(bytes / 1_000_000) MB"
    }

    // MARK: Log

    func logSection(_ lines: [LogRing.Line]?) -> Markup {
        guard let lines else {
            return section("log", "Log", "<p class=\"quiet\">The program that this proxy is part of has it.</p>")
        }
        let levels = LogLevel.allCases.map { level -> Markup in
            let isChosen: Markup = level == .info ? " selected" : ""
            return "<option\(isChosen)>\(level.rawValue)</option>"
        }
        return section(
            "log", "Log",
            """
            <div class="bar"><div class="js-only tools"><label>From level <select id="level">\(levels)</select></label>
            <label>Find <input id="filter" type="search" autocomplete="off" spellcheck="false"></label>
            <button id="pause" type="button" aria-pressed="false">Pause</button></div>
            <a href="logs?download=1" download>Download</a></div>
            <div id="logs" class="scroll log" role="group" aria-labelledby="log-title" tabindex="0">\
            <ol id="log">\(lines.map(Self.line))</ol></div>
            """)
    }

    /// One line of the log, with what the script filters by.
    static func line(_ line: LogRing.Line) -> Markup {
        "<li data-n=\"\(line.number)\" class=\"\(line.level?.rawValue ?? "info")\">\(line.text)</li>"
    }
}
