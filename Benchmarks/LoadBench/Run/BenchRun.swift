import Glibc

/// `tunnel-bench run`: goes through the scenarios and reports.
///
/// The sides of a scenario are measured in turn, A B A B, and each ratio is the median over the pairs: what else the
/// machine does then hits both alike.
final class BenchRun {
    private var options: RunOptions
    private let workshop: Workshop
    private var report = Report()
    private let pairs: Int
    private var progress = Progress(plan: [], now: 0)
    private var display = ProgressDisplay()

    /// Part of all processors that others may use during a run before it is made again.
    private static let maxForeignShare = 0.15
    private static let maxRepeats = 3

    init(_ options: RunOptions) throws {
        self.options = options
        pairs = options.pairs ?? (!options.compared.isEmpty && !options.isQuick ? 3 : 1)
        LiveChildren.endWithUs()
        BenchRun.raiseDescriptorLimit()
        workshop = try Workshop(options)
        if options.compared.contains(.reference), access(options.referencePath, X_OK) != 0 {
            Output.complain("no \(options.referencePath): it is left out; Benchmarks/Reference/build makes it, with Go")
            self.options.compared.remove(.reference)
        }
        report.about = Report.About(
            commit: options.commit, date: MarkdownTable.today(), processors: Int(sysconf(CInt(_SC_NPROCESSORS_ONLN))),
            isQuick: options.isQuick, runs: pairs)
        let plan = Scenario.all.filter { isChosen($0.name) }.flatMap { scenario in
            Array(repeating: seconds(of: scenario), count: sides(of: scenario).count * pairs)
        }
        progress = Progress(plan: plan, now: Clock.now())
    }

    /// - Returns: whether every scenario could be measured, whatever came out.
    func run() throws -> Bool {
        var isGood = true
        Output.write(Report.head + "\n")
        for scenario in Scenario.all where isChosen(scenario.name) {
            do { try measure(scenario) } catch {
                isGood = false
                display.clear()
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
            try MarkdownTable(about: report.about, table: report.table).write(to: file)
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
        let sides = sides(of: scenario)
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
                display.show(progress, scenario.name, side.label)
                var result = try measureQuietly(
                    load, beside: side.beside, on: servers[index], mayRepeat: mayRepeat)
                if load.kind == .idle { result = result.perStream(load.connections * max(1, load.streams)) }
                results[index].append(result)
                progress.finish(seconds(of: scenario))
                display.clear()
                Output.write(Report.line(scenario.name, side.label, result) + "\n")
            }
        }
        report.add(scenario, sides, results)
    }

    /// Those that were asked for.
    private func sides(of scenario: Scenario) -> [Scenario.Side] {
        scenario.sides.filter { side in
            (side.server == .proxy || options.compared.contains(side.server))
                && (options.sides.isEmpty || options.sides.contains { side.label.hasPrefix($0) })
        }
    }

    /// What a run of it asks for, with a start and an end.
    private func seconds(of scenario: Scenario) -> Double {
        let times = options.isQuick ? scenario.quick : scenario.full
        return times.warmUp + times.seconds + 0.3
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
        case .haproxy: try HAProxyUnderTest(workshop, identity: side.identity, load: scenario.load)
        case .reference:
            try ReferenceUnderTest(workshop, identity: side.identity, program: options.referencePath)
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
