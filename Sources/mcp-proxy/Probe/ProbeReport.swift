import TunnelPKI
import TunnelProxy

/// What one probe has found out.
struct ProbeReport {
    /// A part of the way, in its order.
    enum Hop: String {
        case name, tcp, unix, websocket, tls, request, mcp

        var title: String {
            switch self {
            case .name: "Name"
            case .tcp: "TCP"
            case .unix: "Unix socket"
            case .websocket: "WebSocket"
            case .tls: "TLS in the WebSocket"
            case .request: "Request"
            case .mcp: "MCP"
            }
        }
    }

    /// Something that was done, and how long it took.
    struct Step {
        let hop: Hop
        /// What was done at the hop, where that is more than one thing.
        var title: String
        let time: Duration
        var detail: String
        var isDone = true
    }

    /// What is wrong, in the words of the table that `check` and docs/troubleshooting.md share.
    struct Problem {
        let hop: Hop
        let fault: Fault
        let evidence: [String]
    }

    /// A certificate of the chain that the proxy has shown.
    struct ShownCertificate {
        let certificate: Certificate

        /// Whole days; negative after the end.
        func daysLeft(now: Int64) -> Int64 {
            let seconds = certificate.notAfter - now
            return seconds >= 0 ? seconds / 86_400 : -((86_399 - seconds) / 86_400)
        }
    }

    /// The response to a plain request.
    struct Answer {
        let status: UInt16
        var bytes = 0
        /// From the request's last byte to the head.
        let firstByte: Duration
    }

    let number: Int
    var steps: [Step] = []
    var tls: FarSide.TLSFacts?
    var chain: [ShownCertificate] = []
    var mcp: MCPVerdict?
    var answer: Answer?
    var problems: [Problem] = []
    /// From the first step to the last.
    var time = Duration.zero

    /// Whether the far side can use the route.
    var isGood: Bool { !problems.contains { $0.fault.level == .fail } }
}
