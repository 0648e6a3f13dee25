import Glibc
import TunnelCore
import TunnelIO
import TunnelPKI
import TunnelProxy

/// Shows people a probe while it goes on.
///
/// Of a plain request standard output holds the response and nothing else, as with curl(1), and the way to it goes to
/// standard error. With `-json` nothing is shown before the end.
struct ProbePrinter {
    private let options: ProbeOptions
    private let paint: Colours

    init(_ options: ProbeOptions) {
        self.options = options
        paint = Colours(of: options.plain == nil ? 1 : 2)
    }

    private var isStepping: Bool { !options.isJSON && options.count == 1 }

    private func line(_ text: String) {
        var text = text + "\n"
        text.withUTF8 { Self.write($0, to: options.plain == nil ? 1 : 2) }
    }

    /// All of it, whatever the pipe behind takes at a time.
    static func write(_ bytes: UnsafeBufferPointer<UInt8>, to descriptor: CInt) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Glibc.write(
                descriptor, UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: rest)).baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    // MARK: While it goes on

    func show(_ step: ProbeReport.Step) {
        guard isStepping else { return }
        let gap = String(repeating: " ", count: max(1, 27 - step.title.count))
        let mark = step.isDone ? paint("✓", .green) : paint("✗", .red)
        line(
            "\(DemoStory.time(step.time))  \(mark) \(paint(step.title, .bold))\(step.detail.isEmpty ? "" : gap + step.detail)"
        )
    }

    func show(_ chain: [ProbeReport.ShownCertificate]) {
        guard isStepping else { return }
        let now = SystemClock.now().seconds
        for (index, shown) in chain.enumerated() {
            let certificate = shown.certificate
            let names = index == 0 ? " for \(certificate.dnsNames.joined(separator: ", "))" : ""
            detail(
                "\(certificate.subject.isEmpty ? "certificate" : certificate.subject)\(names), ends in \(shown.daysLeft(now: now)) days"
            )
            detail("issued by \(certificate.issuer), SHA-256 \(certificate.fingerprint)")
        }
    }

    func show(_ verdict: MCPVerdict) {
        guard isStepping else { return }
        if let words = Self.words(verdict) { detail(words) }
        if let tools = verdict.tools {
            detail("\(tools.count) \(tools.count == 1 ? "tool" : "tools"): \(tools.joined(separator: ", "))")
        }
        if let status = verdict.authorization, !options.hasAuthorization {
            detail("\(status): the server is there and wants a login; send one with -H @FILE")
        }
    }

    static func words(_ verdict: MCPVerdict) -> String? {
        guard let era = verdict.era else { return nil }
        let kind =
            switch era {
            case .modern: "without sessions"
            case .legacy: "with sessions"
            case .old: "the transport of 2024"
            }
        return "\(verdict.server ?? "an MCP server"), \(verdict.versions.joined(separator: ", ")), \(kind)"
    }

    private func detail(_ text: String) { line("              \(paint(text, .dim))") }

    // MARK: A plain response

    func show(_ response: FarSide.Response) {
        guard options.plain?.showsHead == true, !options.isJSON else { return }
        let version = response.isHTTP2 ? "HTTP/2" : "HTTP/1.1"
        var text = "\(version) \(response.status) \(response.reason)\r\n"
        for field in response.fields { text += "\(field.name): \(field.value)\r\n" }
        show(Array("\(text)\r\n".utf8))
    }

    func show(_ body: [UInt8]) {
        guard !options.isJSON else { return }
        body.withUnsafeBufferPointer { Self.write($0, to: 1) }
    }

    // MARK: At its end

    func show(_ report: ProbeReport) {
        if options.isJSON { return Self.print(ProbeJSON(report, options)) }
        if options.count > 1 {
            let hop = report.problems.first { $0.fault.level == .fail }.map { "\($0.hop.title): \($0.fault.title)" }
            let what = hop ?? report.mcp.flatMap(Self.words) ?? report.answer.map { "\($0.status)" } ?? ""
            let mark = report.isGood ? paint("✓", .green) : paint("✗", .red)
            line(
                "\(DemoStory.time(report.time))  \(mark) \(report.number): \(what)\(report.tls?.isResumed == true ? ", resumed" : "")"
            )
            return
        }
        for problem in report.problems { explain(problem) }
    }

    private func explain(_ problem: ProbeReport.Problem) {
        let level = problem.fault.level == .fail ? paint("failed", .red) : "warning"
        line("")
        line("\(level) at \(problem.hop.title): \(problem.fault.title) (\(problem.fault.id))")
        for evidence in problem.evidence { line("  seen:   \(evidence)") }
        line("  cause:  \(problem.fault.cause)")
        line("  remedy: \(problem.fault.remedy)")
    }

    func show(_ statistics: ProbeStatistics) {
        if options.isJSON { return Self.print(ProbeJSON.Summary(statistics)) }
        line("")
        let percent = (statistics.loss * 1000).rounded() / 10
        line("\(statistics.count) probes, \(statistics.lost) lost (\(percent)%)")
        guard let least = statistics.percentile(1) else { return }
        let parts = [("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)].compactMap { name, percent in
            statistics.percentile(percent).map { "\(name)\(DemoStory.time($0))" }
        }
        line("min\(DemoStory.time(least)) \(parts.joined(separator: " "))")
    }

    private static func print(_ value: some Encodable) {
        let bytes = ProbeJSON.encode(value) + [0x0A]
        bytes.withUnsafeBufferPointer { write($0, to: 1) }
    }
}

/// Colours, where a terminal shows them and nobody has asked for none (https://no-color.org).
struct Colours {
    enum Style: String {
        case bold = "1", dim = "2", red = "31", green = "32"
    }

    private let isOn: Bool

    init(of descriptor: CInt) {
        let refusal = getenv("NO_COLOR").map { $0.pointee != 0 } ?? false
        let isDumb = getenv("TERM").map { String(cString: $0) == "dumb" } ?? false
        isOn = isatty(descriptor) == 1 && !refusal && !isDumb
    }

    func callAsFunction(_ text: String, _ style: Style) -> String {
        isOn ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
    }
}
