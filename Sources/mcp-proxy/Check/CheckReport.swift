import FoundationEssentials
import TunnelCLI
import TunnelCore
import TunnelProxy

/// What one check has come to.
struct CheckResult: Encodable, Sendable {
    enum Level: String, Encodable, Sendable, CaseIterable {
        case pass, warn, fail
        /// Not looked at, because of what came before.
        case skip
    }

    /// What was looked at; stable.
    let id: String
    let level: Level
    /// The key in `routes`, where one is concerned; with several tunnels its host name, or a tunnel's domain.
    var route: String?
    /// The name of what was found, as docs/troubleshooting.md has it; with `warn` and `fail`.
    var fault: String?
    /// In a few words, on one line.
    let summary: String
    /// The usual cause.
    var why: String?
    /// What was seen, a line each.
    var evidence: [String] = []
    /// What to do, a line each.
    var next: [String] = []
    var ms = 0

    static func pass(_ id: String, _ summary: String, evidence: [String] = [], ms: Int = 0) -> CheckResult {
        CheckResult(id: id, level: .pass, summary: summary, evidence: evidence, ms: ms)
    }

    /// Why a step behind one that failed is skipped.
    static let notReached = "not reached"

    static func skip(_ id: String, _ summary: String = notReached) -> CheckResult {
        CheckResult(id: id, level: .skip, summary: summary)
    }

    /// - Parameters:
    ///   - level: another one than the fault has by itself.
    ///   - next: what to do here; without it, what the fault's remedy says.
    static func found(
        _ fault: Fault, in id: String, level: Level? = nil, summary: String? = nil, evidence: [String] = [],
        next: [String] = [], ms: Int = 0
    ) -> CheckResult {
        CheckResult(
            id: id, level: level ?? (fault.level == .warn ? .warn : .fail), fault: fault.id,
            summary: summary ?? fault.title, why: fault.cause, evidence: evidence,
            next: next.isEmpty ? [fault.remedy] : next, ms: ms)
    }

    /// The same about a route.
    func of(_ route: String) -> CheckResult {
        var result = self
        result.route = route
        return result
    }
}

/// What was found out about one route, beside the verdicts.
struct RouteReport: Encodable, Sendable {
    struct Address: Encodable, Sendable {
        let address: String
        let allowed: Bool
        /// The policy's reason, such as `allowed_by_rule`.
        let verdict: String
    }

    struct Server: Encodable, Sendable {
        let path: String
        let era: String?
        let versions: [String]
        let name: String?
        /// 401 or 403, where it lets in only whom it knows.
        let authorization: Int?
        /// The status of GET; 405 is healthy.
        let get: Int?
    }

    let name: String
    let publicUrl: String?
    let upstream: String
    var addresses: [Address] = []
    var mcp: Server?
    /// Of the protected-resource metadata.
    var authorizationServers: [String]?
}

/// All of it.
struct CheckReport: Encodable, Sendable {
    /// Raised when a field changes its meaning or goes; new ones may come.
    let schema = 1
    let version = PackageVersion.current
    /// The file that was looked at.
    let configuration: String
    var tunnelDomain: String?
    /// The worst level.
    private(set) var result = CheckResult.Level.pass
    private(set) var exitStatus: Int32 = 0
    private(set) var counts: [String: Int] = [:]
    /// What to do first.
    private(set) var next: String?
    var checks: [CheckResult] = []
    var routes: [RouteReport] = []
    private(set) var ms = 0

    init(configuration: String) { self.configuration = configuration }

    /// Sums up.
    ///
    /// - Parameter isBlind: nothing could be checked.
    mutating func finish(ms: Int, isBlind: Bool) {
        self.ms = ms
        for level in CheckResult.Level.allCases { counts[level.rawValue] = checks.count { $0.level == level } }
        let worst = checks.first { $0.level == .fail } ?? checks.first { $0.level == .warn }
        (result, next) = (worst?.level ?? .pass, worst?.next.first)
        let status: ExitStatus = isBlind ? .usage : result == .fail ? .failed : .done
        exitStatus = status.rawValue
    }

    var status: ExitStatus { ExitStatus(rawValue: exitStatus) ?? .failed }

    /// The report for programs.
    var json: String { JSONText.of(self) }
}

/// Values as JSON for people and programs.
enum JSONText {
    static func of(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        // Texts, numbers and lists are always encoded.
        return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}
