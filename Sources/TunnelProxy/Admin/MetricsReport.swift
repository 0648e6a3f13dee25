internal import TunnelCore
internal import TunnelIO
internal import TunnelPKI
internal import TunnelTLS

/// Everything that is told to monitoring, from what the loops have counted and what the proxy knows besides.
struct MetricsReport {
    let shared: SharedState
    let loops: [LoopMetrics]
    /// `nil` where nobody knows: without an admin listener there is no self-test.
    let isReady: Bool?

    /// In the order of docs/metrics.md.
    var families: [MetricFamily] {
        let (now, clock) = (SystemClock.now(), Reactor.clock())
        let wall = Double(now.seconds) + Double(now.nanoseconds) / 1_000_000_000
        var sum = MetricsSum(shared.snapshot.routeSlots.shown)
        for loop in loops { sum.add(loop.copy) }
        let names = shared.snapshot.configuration.metrics.mcpNames
        let counted = sum.families(tools: names ? shared.tools.all : nil) { time in
            // To the millisecond, as a log has it: the two clocks were not read at one moment.
            ((wall - (Double(clock) - Double(time)) / 1_000_000_000) * 1_000).rounded() / 1_000
        }
        let oldest = sum.oldestEventStream.map { Double(clock &- min($0, clock)) / 1_000_000_000 } ?? 0
        return counted + [
            .gauge(
                "mcp_tunnel_event_stream_oldest_age_seconds",
                "How long the oldest event stream has been open; 0 where none is.", oldest),
            openConnections(active: sum.count(.activeConnection)), lookUps,
            .gauge("mcp_tunnel_tunnels_open", "WebSocket connections open.", Double(shared.tunnels)), certificates,
            reloads,
            MetricFamily(
                "mcp_tunnel_log_lines_dropped_total", .counter, "Log lines that nobody took in time.",
                [MetricSample([], .count(shared.log.droppedLines))]), lag,
            .gauge(
                "mcp_tunnel_sandbox_landlock_abi", "The version of Landlock in force; 0 for none.",
                Double(shared.sandbox?.landlock ?? 0)),
        ] + readiness + [build] + process
    }

    // MARK: Connections

    private func openConnections(active: UInt64) -> MetricFamily {
        MetricFamily(
            "http_client_open_connections", .gauge,
            "Upstream connections: active ones serve a request, idle ones wait for the next.",
            [
                MetricSample([MetricLabel("state", "active")], .number(Double(Int64(bitPattern: active)))),
                MetricSample([MetricLabel("state", "idle")], .number(Double(loops.reduce(0) { $0 + $1.parked }))),
            ])
    }

    private var lookUps: MetricFamily {
        MetricFamily(
            "mcp_tunnel_dns_lookups_total", .counter, "Look-ups of upstream names, by result.",
            LookUpResult.allCases.map { result in
                MetricSample(
                    [MetricLabel("result", result.label)], .count(loops.reduce(0) { $0 &+ $1.lookUps[result] }))
            })
    }

    private var lag: MetricFamily {
        var lag = LagHistogram()
        for loop in loops { lag += loop.lag }
        return MetricFamily(
            "mcp_tunnel_event_loop_lag_seconds", .histogram,
            "How long an event loop may have let an event or a deadline wait, once a turn.",
            [MetricSample([], .histogram(lag.value))])
    }

    // MARK: Facts

    private var certificates: MetricFamily {
        MetricFamily(
            "mcp_tunnel_certificate_not_after_timestamp_seconds", .gauge,
            "When the certificate in force ends, since 1970; of the CA where the file holds it.",
            shared.snapshot.tunnels.flatMap { tunnel -> [MetricSample] in
                guard let identity = shared.identities[tunnel.number]?.current.identity else { return [] }
                let labels = tunnel.name.map { [MetricLabel("tunnel", $0)] } ?? []
                return [("leaf", identity.leaf), ("ca", identity.lastIssuer)].compactMap { name, certificate in
                    certificate.map {
                        MetricSample(labels + [MetricLabel("certificate", name)], .number(Double($0.notAfter)))
                    }
                }
            })
    }

    private var reloads: MetricFamily {
        MetricFamily(
            "mcp_tunnel_reloads_total", .counter, "Reloads since the start, by what was read and how that ended.",
            ReloadJournal.Kind.allCases.flatMap { kind in
                [true, false].map { succeeded in
                    MetricSample(
                        [MetricLabel("kind", kind.rawValue), MetricLabel("result", succeeded ? "ok" : "failed")],
                        .count(shared.reloads.count(kind, succeeded: succeeded)))
                }
            })
    }

    private var readiness: [MetricFamily] {
        guard let isReady else { return [] }
        return [.gauge("mcp_tunnel_ready", "1 where /readyz says that traffic may come.", isReady ? 1 : 0)]
    }

    private var build: MetricFamily {
        #if compiler(>=6.4)
            let compiler = "6.4"
        #else
            let compiler = "6.3"
        #endif
        return MetricFamily(
            "mcp_tunnel_build_info", .gauge, "1; the labels say what runs.",
            [
                MetricSample(
                    [MetricLabel("version", TunnelProxyVersion.current), MetricLabel("swift", compiler)], .number(1))
            ])
    }

    /// By the conventions that Prometheus has for every process.
    private var process: [MetricFamily] {
        guard let facts = ProcessFacts() else { return [] }
        return [
            MetricFamily(
                "process_cpu_seconds_total", .counter, "Time on all cores, user and system.",
                [MetricSample([], .number(facts.cpuSeconds))]),
            .gauge("process_open_fds", "Open file descriptors.", Double(facts.openDescriptors)),
            .gauge("process_max_fds", "File descriptors that may be open.", Double(facts.maxDescriptors)),
            .gauge("process_virtual_memory_bytes", "Virtual memory.", Double(facts.virtualBytes)),
            .gauge("process_resident_memory_bytes", "Resident memory.", Double(facts.residentBytes)),
            .gauge("process_start_time_seconds", "When the process was started, since 1970.", facts.startTime),
        ]
    }
}

extension MetricFamily {
    fileprivate static func gauge(_ name: String, _ help: String, _ value: Double) -> MetricFamily {
        MetricFamily(name, .gauge, help, [MetricSample([], .number(value))])
    }
}
