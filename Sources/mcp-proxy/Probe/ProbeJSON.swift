import FoundationEssentials
import TunnelCore
import TunnelIO
import TunnelPKI
import TunnelProxy

/// A report for programs: one object on one line. Names are only added to it.
struct ProbeJSON: Encodable {
    struct Hop: Encodable { let hop, title: String, ok: Bool, ms: Double, detail: String }
    struct Shown: Encodable { let subject, issuer, sha256: String, names: [String], notAfter, daysLeft: Int64 }
    struct TLS: Encodable {
        let version, cipher: String, group, alpn: String?, resumed: Bool, chain: [Shown]
    }
    struct MCP: Encodable {
        let era: String?, versions: [String], server: String?, tools: [String]?, authorization: Int?
    }
    struct Response: Encodable { let status: UInt16, bytes: Int, firstByteMs: Double }
    struct Problem: Encodable { let id, level, hop, title: String, evidence: [String], why, next: String }
    struct Summary: Encodable {
        let sent, lost: Int, loss: Double, ms: [String: Double]

        init(_ statistics: ProbeStatistics) {
            (sent, lost, loss) = (statistics.count, statistics.lost, statistics.loss)
            let percentiles = [("min", 1), ("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)]
            ms = Dictionary(
                uniqueKeysWithValues: percentiles.compactMap { name, percent in
                    statistics.percentile(percent).map { (name, ProbeJSON.milliseconds($0)) }
                })
        }
    }

    let schema = 1
    let number: Int
    let url, host, path: String
    let ok: Bool
    let ms: Double
    let hops: [Hop]
    let tls: TLS?
    let mcp: MCP?
    let response: Response?
    let problems: [Problem]

    init(_ report: ProbeReport, _ options: ProbeOptions) {
        (number, url, host, path) = (report.number, options.url, options.host, options.path)
        (ok, ms) = (report.isGood, Self.milliseconds(report.time))
        hops = report.steps.map {
            Hop(
                hop: $0.hop.rawValue, title: $0.title, ok: $0.isDone, ms: Self.milliseconds($0.time), detail: $0.detail)
        }
        let now = SystemClock.now().seconds
        let chain = report.chain.map { shown in
            let certificate = shown.certificate
            return Shown(
                subject: certificate.subject, issuer: certificate.issuer, sha256: certificate.fingerprint,
                names: certificate.dnsNames, notAfter: certificate.notAfter, daysLeft: shown.daysLeft(now: now))
        }
        tls = report.tls.map {
            TLS(
                version: $0.version, cipher: $0.cipher, group: $0.group, alpn: $0.applicationProtocol,
                resumed: $0.isResumed, chain: chain)
        }
        mcp = report.mcp.map {
            MCP(
                era: $0.era?.rawValue, versions: $0.versions, server: $0.server, tools: $0.tools,
                authorization: $0.authorization)
        }
        response = report.answer.map {
            Response(status: $0.status, bytes: $0.bytes, firstByteMs: Self.milliseconds($0.firstByte))
        }
        problems = report.problems.map {
            Problem(
                id: $0.fault.id, level: $0.fault.level.rawValue, hop: $0.hop.rawValue, title: $0.fault.title,
                evidence: $0.evidence, why: $0.fault.cause, next: $0.fault.remedy)
        }
    }

    static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        // Texts, numbers and lists of them are always encoded.
        return (try? encoder.encode(value)).map { Array($0) } ?? []
    }

    /// To the microsecond.
    static func milliseconds(_ duration: Duration) -> Double { (duration / .microseconds(1)).rounded() / 1000 }
}
