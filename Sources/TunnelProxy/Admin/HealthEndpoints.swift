internal import TunnelCore
internal import TunnelIO

/// `/healthz`: whether the process lives, for what starts it anew: every loop answers.
final class HealthEndpoint: AdminEndpoint {
    private let context: AdminSite.Context
    private let reactor: Reactor

    /// A loop that takes longer for one turn serves nobody.
    private static let limit = Duration.seconds(2)

    init(_ context: AdminSite.Context, on reactor: Reactor) { (self.context, self.reactor) = (context, reactor) }

    func reply(to request: AdminRequest) async -> AdminReply {
        let pulses = await LoopSurvey.of(context.loops, within: Self.limit, on: reactor) { _ in true }
        let dead = pulses.indices.filter { pulses[$0] == nil }
        if dead.isEmpty { return .whole(.text("ok")) }
        return .whole(.text("loops that do not turn: \(dead.map { "\($0)" }.joined(separator: ", "))", status: 503))
    }
}

/// `/readyz`: whether traffic should come here, and why not.
final class ReadinessEndpoint: AdminEndpoint {
    private let readiness: ProxyReadiness

    init(_ readiness: ProxyReadiness) { self.readiness = readiness }

    private struct Verdict: Encodable {
        let ready: Bool
        let conditions: [ProxyReadiness.Condition]
    }

    func reply(to request: AdminRequest) async -> AdminReply {
        let conditions = readiness.conditions
        let isReady = conditions.allSatisfy(\.holds)
        return .whole(.json(Verdict(ready: isReady, conditions: conditions), status: isReady ? 200 : 503))
    }
}

/// `/log-level`: which lines are written. PUT changes it until the next reload, which takes the configuration's.
final class LogLevelEndpoint: AdminEndpoint {
    private let log: Log

    init(_ log: Log) { self.log = log }

    var takesPut: Bool { true }

    func reply(to request: AdminRequest) async -> AdminReply {
        if request.method == "PUT" {
            let word = String(decoding: request.body, as: UTF8.self).split(whereSeparator: \.isWhitespace).first ?? ""
            guard let level = LogLevel(rawValue: word.lowercased()) else {
                let known = LogLevel.allCases.map(\.rawValue).joined(separator: ", ")
                return .whole(.text("Not a log level; write one of \(known)", status: 400))
            }
            let before = log.threshold
            log.threshold = level
            log(.info, "log level changed") { line in
                line.field("from", before.rawValue)
                line.field("to", level.rawValue)
            }
        }
        return .whole(.text(log.threshold.rawValue))
    }
}
