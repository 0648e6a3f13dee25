import Synchronization
import TunnelCore
import TunnelIO
import TunnelProxy

/// `mcp-proxy check`: looks at everything that a tunnel needs on this side, without serving, and says what is wrong.
enum Check {
    /// Runs all checks. Blocks until the last one is done, which takes four times the time-out of a step at most.
    static func run(_ options: CheckOptions) -> CheckReport {
        let start = Reactor.clock()
        var report = CheckReport(configuration: options.configuration)
        var isBlind = false
        if let configuration = load(options, &report, &isBlind) { look(at: configuration, options, &report) }
        report.finish(ms: Int(clamping: (Reactor.clock() &- start) / 1_000_000), isBlind: isBlind)
        return report
    }

    private static func load(
        _ options: CheckOptions, _ report: inout CheckReport, _ isBlind: inout Bool
    ) -> ProxyConfiguration? {
        let file = ConfigurationFile(path: options.configuration, tunnelDomain: options.tunnelDomain)
        let id = "configuration"
        let contents: ConfigurationFile.Contents
        do throws(ConfigurationError) { contents = try file.read() } catch {
            report.checks += error.diagnostics.map {
                .found(
                    .configurationUnreadable, in: id, evidence: [$0.problem], next: $0.remedy.isEmpty ? [] : [$0.remedy]
                )
            }
            isBlind = true
            return nil
        }
        do throws(ConfigurationError) {
            let configuration = try file.parse(contents)
            let count = configuration.perTunnel.reduce(0) { $0 + $1.routes.count }
            let tunnels = configuration.tunnels.isEmpty ? "" : " of \(configuration.tunnels.count) tunnels"
            report.checks.append(
                .pass(id, "\(options.configuration): \(count) \(count == 1 ? "route" : "routes")\(tunnels)"))
            return configuration
        } catch {
            report.checks += error.diagnostics.map {
                .found(
                    .configurationInvalid, in: id, summary: $0.field.isEmpty ? nil : "\($0.field): \($0.problem)",
                    evidence: ["\($0)"], next: $0.remedy.isEmpty ? [] : [$0.remedy])
            }
            for id in ["settings", "sandbox", "certificate", "routes"] {
                report.checks.append(.skip(id, "the configuration has errors"))
            }
            // What is not YAML has no fields that could be looked at.
            isBlind = error.diagnostics.allSatisfy(\.field.isEmpty)
            return nil
        }
    }

    private static func look(at configuration: ProxyConfiguration, _ options: CheckOptions, _ report: inout CheckReport)
    {
        report.tunnelDomain = configuration.tunnelDomain
        let reviews: [ConfigurationReview]
        do {
            report.checks += SettingsCheck.run(try ConfigurationReview(configuration))
            reviews = try configuration.perTunnel.map { try ConfigurationReview($0) }
        } catch {
            report.checks.append(.found(.verificationCA, in: "settings", evidence: ["\(error)"]))
            reviews = []
        }
        report.checks.append(SettingsCheck.sandbox(configuration, file: options.configuration))
        let hasSeveral = !configuration.tunnels.isEmpty
        for tunnel in configuration.perTunnel {
            let results = SettingsCheck.certificate(tunnel, ca: options.ca) + SettingsCheck.ticketKeys(tunnel)
            // Whose they are is shown where a route is.
            report.checks += hasSeveral ? results.map { $0.of(tunnel.tunnelDomain ?? "") } : results
        }
        let outcome: CheckRun.Outcome
        do { outcome = try CheckRun.run(configuration, reviews, options) } catch {
            report.checks.append(
                .found(.nameFailed, in: "routes", summary: "no loop could be started", evidence: ["\(error)"]))
            return
        }
        report.checks.append(SettingsCheck.clock(dates: outcome.dates, now: SystemClock.now().seconds))
        report.checks += outcome.results
        if reviews.isEmpty { report.checks.append(.skip("routes", "upstream.tls.ca_file cannot be used")) }
        report.routes = outcome.routes
    }
}

/// The checks that take the network: so many at a time, on one loop.
final class CheckRun {
    struct Outcome: Sendable {
        /// Edge and cloudflared first, then the routes in the order of the file.
        var results: [CheckResult] = []
        var routes: [RouteReport] = []
        var dates: [(theirs: Int64, ours: Int64)] = []
    }

    private enum Job {
        case edge
        case cloudflared(UpstreamAddress)
        case route(Route, ConfigurationReview)
    }

    private struct Part {
        var results: [CheckResult] = []
        var route: RouteReport?
        var date: (theirs: Int64, ours: Int64)?
    }

    /// At a time. Each takes a thread of the resolver and a connection at most.
    private static let width = 32

    private let hasSeveral: Bool
    private let options: CheckOptions
    private let reactor: Reactor
    private let jobs: [Job]
    private var parts: [Part]
    private var next = 0
    private var running = 0
    private let whenDone: (Outcome) -> Void

    private init(
        _ configuration: ProxyConfiguration, _ reviews: [ConfigurationReview], _ options: CheckOptions,
        on reactor: Reactor,
        whenDone: @escaping (Outcome) -> Void
    ) {
        (self.options, self.reactor, self.whenDone) = (options, reactor, whenDone)
        hasSeveral = !configuration.tunnels.isEmpty
        jobs =
            (options.edge ? [.edge] : []) + (configuration.cloudflaredMetrics.map { [.cloudflared($0)] } ?? [])
            + reviews.flatMap { review in review.configuration.routes.map { .route($0, review) } }
        parts = Array(repeating: Part(), count: jobs.count)
    }

    /// Blocks until all are done.
    static func run(
        _ configuration: ProxyConfiguration, _ reviews: [ConfigurationReview], _ options: CheckOptions
    ) throws -> Outcome {
        let (loop, box) = (try Loop(), Box())
        loop.spawn { loop in
            let run = CheckRun(configuration, reviews, options, on: loop.reactor) { result in
                box.outcome.withLock { $0 = result }
                loop.stop()
            }
            run.start()
        }
        loop.run()
        return box.outcome.withLock { $0 }
    }

    private final class Box: Sendable {
        let outcome = Mutex(Outcome())
    }

    private func start() {
        running = min(Self.width, jobs.count)
        if running == 0 { return whenDone(Outcome()) }
        for _ in 0..<running { reactor.spawn(with: self) { await $0.work() } }
    }

    private func work() async {
        while next < jobs.count {
            let index = next
            next += 1
            parts[index] = await run(jobs[index])
        }
        running -= 1
        guard running == 0 else { return }
        whenDone(
            Outcome(
                results: parts.flatMap(\.results), routes: parts.compactMap(\.route), dates: parts.compactMap(\.date)))
    }

    private func run(_ job: Job) async -> Part {
        switch job {
        case .edge: return Part(results: await EdgeCheck.run(options, on: reactor))
        case .cloudflared(let address):
            return Part(results: [await EdgeCheck.cloudflared(address, options, on: reactor)])
        case .route(let route, let review):
            let name = hasSeveral ? review.publicHost(of: route) : route.key
            let check = RouteCheck(review, route, named: name, options, on: reactor)
            await check.run()
            return Part(results: check.results, route: check.report, date: check.date)
        }
    }
}
