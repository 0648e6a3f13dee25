import Glibc

/// `tunnel-bench run`: goes through the scenarios and reports.
///
/// The sides of a scenario are measured in turn, A B A B, and each ratio is the median over the pairs: what else the
/// machine does then hits both alike.
final class BenchRun {
    private let options: RunOptions
    private let workshop: Workshop
    private var report = Report()
    private let pairs: Int

    /// Part of all processors that others may use during a run before it is made again.
    private static let maxForeignShare = 0.15
    private static let maxRepeats = 3

    init(_ options: RunOptions) throws {
        self.options = options
        pairs = options.pairs ?? (options.comparesNginx && !options.isQuick ? 3 : 1)
        LiveChildren.endWithUs()
        BenchRun.raiseDescriptorLimit()
        workshop = try Workshop(options)
    }

    /// - Returns: whether every scenario could be measured, whatever came out.
    func run() throws -> Bool {
        var isGood = true
        Output.write(Report.head + "\n")
        for scenario in Scenario.all where isChosen(scenario.name) {
            do { try measure(scenario) } catch {
                isGood = false
                Output.complain("\(scenario.name): \(error)")
                if LiveChildren.isEnding { return false }
            }
        }
        if isChosen("start") {
            do { try measureStart() } catch {
                isGood = false
                Output.complain("start: \(error)")
            }
        }
        Output.write("\n" + report.table)
        if let file = options.jsonFile { try TextFile.write(report.json, to: file) }
        if let file = options.markdownFile {
            let table = MarkdownTable(
                commit: options.commit, date: MarkdownTable.today(),
                processors: Int(sysconf(CInt(_SC_NPROCESSORS_ONLN))), isQuick: options.isQuick, runs: pairs,
                table: report.table)
            try table.write(to: file)
        }
        return isGood
    }

    private func isChosen(_ name: String) -> Bool {
        options.scenarios.isEmpty || options.scenarios.contains { name.hasPrefix($0) }
    }

    /// 5,000 streams are 10,000 descriptors of the proxy's; children inherit the limit.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(7), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(7), &limit)
    }

    // MARK: Scenarios

    private func measure(_ scenario: Scenario) throws {
        var scenario = scenario
        if !options.sides.isEmpty { scenario.targets = [] }
        let sides = scenario.sides.filter { side in
            (options.comparesNginx || side.server == .proxy)
                && (options.sides.isEmpty || options.sides.contains { side.label.hasPrefix($0) })
        }
        var servers = try sides.map { try start($0, scenario) }
        var results = Array(repeating: [Measurement](), count: sides.count)
        for round in 0..<pairs {
            for (index, side) in sides.enumerated() {
                if scenario.needsFreshServer && round > 0 { servers[index] = try start(side, scenario) }
                var load = scenario.load
                let times = options.isQuick ? scenario.quick : scenario.full
                (load.warmUp, load.seconds) = times
                load.connections = side.connections ?? load.connections
                load.streams = side.streams ?? load.streams
                if options.isQuick, let fewer = scenario.quickConnections { load.connections = fewer }
                load.target.routes = side.routes
                // Memory is not a stranger's to change, and a second load would find that of the first.
                let mayRepeat = !options.isQuick && !scenario.needsFreshServer
                var result = try measureQuietly(
                    load, beside: side.beside, on: servers[index], mayRepeat: mayRepeat)
                if load.kind == .idle { result = result.perStream(load.connections * max(1, load.streams)) }
                results[index].append(result)
                Output.write(Report.line(scenario.name, side.label, result) + "\n")
            }
        }
        report.add(scenario, sides, results)
    }

    /// Measures; and again, a few times at most, when strangers used much of the machine meanwhile.
    private func measureQuietly(
        _ load: LoadOptions, beside: LoadOptions?, on server: any MeasuredServer, mayRepeat: Bool
    ) throws -> Measurement {
        var best = try workshop.measure(load, beside: beside, on: server)
        guard mayRepeat else { return best }
        for _ in 0..<BenchRun.maxRepeats where best["foreign_cpu_share"] > BenchRun.maxForeignShare {
            let next = try workshop.measure(load, beside: beside, on: server)
            if next["foreign_cpu_share"] < best["foreign_cpu_share"] { best = next }
        }
        return best
    }

    private func start(_ side: Scenario.Side, _ scenario: Scenario) throws -> any MeasuredServer {
        let isHTTP2 = scenario.load.streams > 0
        return switch side.server {
        case .proxy: try ProxyUnderTest(workshop, identity: side.identity, routes: side.routes, settings: side.settings)
        case .nginx: try NginxUnderTest(workshop, identity: side.identity, isHTTP2: isHTTP2)
        case .plainNginx: try NginxUnderTest(workshop, identity: side.identity, isHTTP2: isHTTP2, isTuned: false)
        }
    }

    /// From the start of the process to its first accepted connection, and the memory it holds while nobody calls.
    private func measureStart() throws {
        var results: [Measurement] = []
        for _ in 0..<(options.isQuick ? 3 : 9) {
            let server = try start(.proxy, .start)
            usleep(300_000)
            let sample = ProcessSample(server.processes)
            results.append(
                Measurement(values: [
                    "seconds": 0, "start_ms": server.startSeconds * 1e3, "resident_kib": Double(sample.residentKiB),
                    "peak_kib": Double(sample.peakKiB), "resident_mib": Double(sample.residentKiB) / 1024,
                ]))
        }
        report.add(.start, [.proxy], [results])
    }
}

extension Measurement {
    /// What one silent stream takes of the server's memory.
    func perStream(_ count: Int) -> Measurement {
        var values = values
        values["kib_per_stream"] = (self["resident_kib"] - self["fresh_kib"]) / Double(count)
        return Measurement(values: values, cipher: cipher)
    }
}
