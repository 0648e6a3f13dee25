import TunnelCore
import TunnelProxy

/// What a dialogue has found out about an MCP server.
struct MCPVerdict {
    enum Era: String {
        /// Each request stands for itself, from 2026-07-28 on.
        case modern
        /// Begins with `initialize`, up to 2025-11-25.
        case legacy
        /// HTTP+SSE of 2024, where GET opens the way back.
        case old
    }

    /// What was asked in turn, and what came: `server/discover: 200 in 3 ms`.
    struct Step {
        let name: String
        let status: Int
        let time: Duration
        var milliseconds: Int { Int(time / .milliseconds(1)) }
        var description: String { "\(name): \(status) in \(milliseconds) ms" }
    }

    /// Something that is wrong, with the words of the server.
    struct Problem {
        let fault: Fault
        let evidence: [String]

        init(_ fault: Fault, _ evidence: String...) { (self.fault, self.evidence) = (fault, evidence) }
    }

    let path: String
    /// `nil` where the server has not shown that it speaks MCP.
    var era: Era?
    var versions: [String] = []
    /// Name and version, as the server tells them.
    var server: String?
    /// Where they were asked for.
    var tools: [String]?
    /// 401 or 403: it is there, and lets in whom it knows.
    var authorization: Int?
    /// The value of WWW-Authenticate.
    var challenge: String?
    /// The status of GET.
    var get: Int?
    var steps: [Step] = []
    /// The first that fails it all stands first.
    var problems: [Problem] = []

    init(path: String) { self.path = path }

    var hasFailed: Bool { problems.contains { $0.fault.level == .fail } }
}
