/// The upper part of the page: the hops of a request, the facts in short, and what should be looked at.
extension Page {
    // MARK: Hops

    /// A request's way as a row of lights, from the far side to the MCP servers.
    var hops: Markup {
        "\(claudeHop)\(edgeHop)\(cloudflaredHop)\(proxyHop)\(routesHop)"
    }

    private func hop(_ light: Light, _ name: StaticString, _ words: Markup) -> Markup {
        let name = Markup(stringLiteral: name)
        return "<li>\(Self.light(light))<div><strong>\(name)</strong><span>\(words)</span></div></li>"
    }

    private var claudeHop: Markup {
        guard let request = status.farSide.request else { return hop(.none, "Claude", "no request yet") }
        return hop(.ok, "Claude", "last request \(time(request, else: ""))")
    }

    private var edgeHop: Markup {
        guard let cloudflared = status.cloudflared else {
            return hop(status.farSide.request == nil ? .none : .ok, "Cloudflare", "not visible from here")
        }
        let words: Markup =
            cloudflared.connections.map { "\($0) connections of cloudflared" } ?? "\(cloudflared.detail)"
        return hop(cloudflared.ready ? .ok : .fail, "Cloudflare", words)
    }

    private var cloudflaredHop: Markup {
        let tunnels = status.counts.tunnels
        let words: Markup = tunnels == 1 ? "1 tunnel open" : "\(tunnels) tunnels open"
        guard let connection = status.farSide.connection else {
            return hop(.none, "cloudflared", "has not connected yet")
        }
        return hop(.ok, "cloudflared", "\(words), last connection \(time(connection, else: ""))")
    }

    private var proxyHop: Markup {
        let days = status.certificate.daysLeft
        let isLate = status.certificate.lifeSpentPercent > 100
        if !status.readiness.ready {
            let failed = status.readiness.conditions.first { !$0.holds }
            return hop(.fail, "This proxy", "not ready: \(failed?.id ?? "")")
        }
        return hop(isLate ? .fail : days < 14 ? .warn : .ok, "This proxy", "ready, certificate for \(days) days")
    }

    private var routesHop: Markup {
        let all = status.routes.count
        let bad = status.routes.count { $0.verdict == .failing || $0.verdict == .refused }
        let half = status.routes.count { $0.verdict == .degraded }
        let good = status.routes.count { $0.verdict == .ok }
        let words: Markup = bad + half > 0 ? "\(bad + half) of \(all) with failures" : "\(good) of \(all) in use"
        let light: Light = bad > 0 ? .fail : half > 0 ? .warn : good > 0 ? .ok : .none
        return hop(light, "MCP servers", words)
    }

    // MARK: Facts

    var facts: Markup { "\(farSideCard)\(certificateCard)\(tunnelsCard)\(trafficCard)\(configurationCard)" }

    private func card(_ title: StaticString, _ content: Markup) -> Markup {
        let title = Markup(stringLiteral: title)
        return "<section class=\"card\"><h2>\(title)</h2>\(content)</section>"
    }

    private func list(_ rows: [(StaticString, Markup)]) -> Markup {
        let rows = rows.map { row -> Markup in
            let name = Markup(stringLiteral: row.0)
            return "<div><dt>\(name)</dt><dd>\(row.1)</dd></div>"
        }
        return "<dl>\(rows)</dl>"
    }

    private var farSideCard: Markup {
        let side = status.farSide
        return card(
            "Last heard of the far side",
            list([
                ("Request", time(side.request, else: "not yet")),
                ("Connection", time(side.connection, else: "not yet")),
                ("Ping", time(side.ping, else: "not yet")),
            ]))
    }

    private var certificateCard: Markup {
        let certificate = status.certificate
        let spent = min(max(certificate.lifeSpentPercent, 0), 100)
        let light: Light = certificate.lifeSpentPercent > 100 ? .fail : certificate.daysLeft < 14 ? .warn : .ok
        let left: Markup =
            certificate.lifeSpentPercent > 100
            ? "expired" : certificate.daysLeft == 1 ? "1 day left" : "\(certificate.daysLeft) days left"
        return card(
            "Certificate",
            """
            <p class="big">\(left)</p>
            <svg class="life \(light.rawValue)" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" \
            aria-label="\(spent) percent of its life are over"><rect width="100" height="6" rx="1"/>\
            <rect class="spent" width="\(spent)" height="6" rx="1"/></svg>
            <p class="ends"><span>\(String(certificate.notBefore.prefix(10)))</span><span>\(String(certificate.notAfter.prefix(10)))</span></p>
            \(list([
                ("Names", Markup.lines(certificate.names)), ("Issuer", "\(certificate.issuer)"),
                ("Key", "\(certificate.key)"),
                ("SHA-256", "<code title=\"\(certificate.fingerprint)\">\(String(certificate.fingerprint.prefix(16)))…</code>"),
            ]))
            """)
    }

    /// Where there are several: the one above is the certificate that ends first.
    private var tunnelsCard: Markup {
        guard let tunnels = status.tunnels else { return "" }
        let rows = tunnels.map { tunnel -> Markup in
            let routes: Markup = tunnel.routes == 1 ? "1 route" : "\(tunnel.routes) routes"
            let days = tunnel.certificate.daysLeft
            let left: Markup = tunnel.certificate.lifeSpentPercent > 100 ? "expired" : "certificate for \(days) days"
            return "<div><dt>\(tunnel.domain)</dt><dd>\(routes), \(left)</dd></div>"
        }
        return card("Tunnels", "<dl>\(rows)</dl>")
    }

    private var trafficCard: Markup {
        let counts = status.counts
        var rows: [(StaticString, Markup)] = [
            ("Requests under way", "\(counts.requestsInFlight)"), ("Tunnels open", "\(counts.tunnels)"),
            ("Requests", "\(counts.requests)"), ("Failed", "\(counts.failures)"),
        ]
        if !counts.limitHits.isEmpty {
            rows.append(("Limits reached", Markup.lines(counts.limitHits.map { "\($0.limit): \($0.count)" })))
        }
        return card("Traffic", list(rows))
    }

    private var configurationCard: Markup {
        let last = status.reloads.last { $0.kind == "configuration" }
        let words: Markup = last.map { "\($0.result), by \($0.by), \(time($0.time, ago: $0.ageSeconds))" } ?? "none"
        return card(
            "Configuration",
            list([
                (
                    "Hash",
                    "<code title=\"\(status.configuration.hash)\">\(String(status.configuration.hash.prefix(16)))…</code>"
                ),
                ("Last reload", words), ("Log level", "\(status.configuration.logLevel)"),
                ("Sandbox", "\(status.sandbox.summary)"), ("Listens on", "\(status.listener)"),
            ]))
    }

    // MARK: To be looked at

    var notes: Markup {
        let findings = status.findings.map { note -> Markup in
            let light: Light = note.level == "error" ? .fail : .warn
            return """
                <li>\(Self.light(light))<div><h3>\(note.text)</h3><p>\(note.detail)</p>\
                <p class="remedy">\(Markup.prose(note.remedy))</p><p class="id"><code>\(note.id)</code></p></div></li>
                """
        }
        let failures = status.failures.map { group -> Markup in
            let routes = group.routes.prefix(5).joined(separator: ", ") + (group.routes.count > 5 ? ", …" : "")
            let times: Markup = group.count == 1 ? "once" : "\(group.count) times"
            let routesWords: Markup = group.routes.isEmpty ? "" : " for \(routes)"
            return """
                <li>\(Self.light(.fail))<div><h3>\(Markup.prose(group.title))</h3>\
                <p>\(times)\(routesWords), last \(time(group.last, else: ""))</p>\
                <p class="remedy">\(Markup.prose(group.remedy))</p><p class="id"><code>\(group.cause)</code></p></div></li>
                """
        }
        var markup: Markup = ""
        if !findings.isEmpty {
            markup += section("findings", "To be looked at", "<ul class=\"notes\">\(findings)</ul>")
        }
        if !failures.isEmpty {
            markup += section("failures", "Recent failures by cause", "<ul class=\"notes\">\(failures)</ul>")
        }
        return markup
    }

    var reloads: Markup {
        let rows = status.reloads.reversed().map { reload -> Markup in
            let light: Light = reload.result == "ok" ? .ok : .fail
            return """
                <li>\(Self.light(light))<div><p>\(reload.kind), by \(reload.by), \(time(reload.time, ago: reload.ageSeconds))</p>\
                <p class="id">\(reload.detail)</p></div></li>
                """
        }
        return rows.isEmpty ? "<p class=\"quiet\">None since the start.</p>" : "<ul class=\"notes\">\(rows)</ul>"
    }
}
