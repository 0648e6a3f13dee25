import Glibc

/// How far a run is and how long it still takes, for the person who waits for it.
///
/// What is left is taken from how long the runs so far took against their plan: starts, stops and repeats come on top
/// of each run's own seconds.
struct Progress {
    /// Runs that will be made, and the seconds that they ask for.
    private let count: Int
    private let planned: Double
    private let started: Double
    private(set) var done = 0
    private var plannedOfDone = 0.0

    init(plan: [Double], now: Double) {
        (count, planned, started) = (plan.count, plan.reduce(0, +), now)
    }

    /// A run that asked for so many seconds has ended.
    mutating func finish(_ seconds: Double) {
        done += 1
        plannedOfDone += seconds
    }

    /// Seconds until the end, as far as one can tell.
    func left(now: Double) -> Double {
        let remaining = max(0, planned - plannedOfDone)
        return plannedOfDone > 0 ? remaining * (now - started) / plannedOfDone : remaining
    }

    /// What is told while the next run is made.
    func line(_ name: String, now: Double) -> String {
        "[\(min(done + 1, count)) of \(count)] \(name), about \(Progress.text(left(now: now))) left"
    }

    static func text(_ seconds: Double) -> String {
        let seconds = max(0, seconds)
        if seconds < 55 { return "\(max(5, Int((seconds / 5).rounded(.up)) * 5)) s" }
        let minutes = Int((seconds / 60).rounded(.up))
        return minutes < 60 ? "\(minutes) min" : "\(minutes / 60) h \(minutes % 60) min"
    }
}

/// Shows progress on standard error: in place on a terminal, else one line for each scenario.
struct ProgressDisplay {
    private let isTerminal = isatty(2) == 1
    private var lastScenario = ""

    mutating func show(_ progress: Progress, _ scenario: String, _ side: String) {
        if isTerminal {
            Output.complain("\r\u{1B}[K" + progress.line("\(scenario), \(side)", now: Clock.now()), end: "")
        } else if scenario != lastScenario {
            Output.complain(progress.line(scenario, now: Clock.now()))
        }
        lastScenario = scenario
    }

    /// Before anything else is written.
    func clear() {
        if isTerminal { Output.complain("\r\u{1B}[K", end: "") }
    }
}
