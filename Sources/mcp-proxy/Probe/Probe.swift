import TunnelCore
import TunnelIO
import TunnelPKI
import TunnelProxy

/// One probe: a tunnel is opened, and used as Claude would, or for one plain request.
struct Probe {
    private let options: ProbeOptions
    private let trust: FarSide.Trust
    private let reactor: Reactor
    private let printer: ProbePrinter
    private var report: ProbeReport

    init(
        _ options: ProbeOptions, number: Int, trusting trust: FarSide.Trust, _ printer: ProbePrinter,
        on reactor: Reactor
    ) {
        (self.options, self.trust, self.printer, self.reactor) = (options, trust, printer, reactor)
        report = ProbeReport(number: number)
    }

    /// - Parameter resumption: of the probe before, and afterwards that of this one.
    mutating func run(resuming resumption: inout FarSide.Resumption?) async -> ProbeReport {
        let start = Reactor.clock()
        var steps: [ProbeReport.Step] = []
        let printer = printer
        let tunnel = ProbeTunnel(options, trusting: trust, resuming: resumption, on: reactor) { step in
            steps.append(step)
            printer.show(step)
        }
        do {
            _ = try await tunnel.open()
            showChain(of: tunnel)
            if let plain = options.plain {
                report.answer = try await tunnel.send(plain, onHead: { printer.show($0) }, onBody: { printer.show($0) })
                if let problem = tunnel.problem { report.problems.append(problem) }
            } else {
                try await speak(over: tunnel)
            }
            report.time = .since(start)
            await tunnel.close()
        } catch {
            report.time = .since(start)
            if let problem = tunnel.problem { report.problems = [problem] }
            if case .tls? = tunnel.problem?.hop { await addEvidenceOfCertificate() }
        }
        resumption = tunnel.resumption
        report.steps = steps + report.steps
        return report
    }

    private mutating func showChain(of tunnel: ProbeTunnel) {
        report.tls = tunnel.tls
        report.chain = (tunnel.tls?.chain ?? []).compactMap { der in
            (try? Certificate(der: der)).map { ProbeReport.ShownCertificate(certificate: $0) }
        }
        printer.show(report.chain)
    }

    private mutating func speak(over tunnel: ProbeTunnel) async throws {
        var dialogue = MCPDialogue(path: options.path, wantsTools: true, clock: Reactor.clock, over: tunnel)
        let verdict = try await dialogue.run()
        for step in verdict.steps {
            let step = ProbeReport.Step(
                hop: .mcp, title: step.name, time: step.time, detail: "\(step.status)")
            report.steps.append(step)
            printer.show(step)
        }
        report.mcp = verdict
        report.problems = verdict.problems.map { .init(hop: .mcp, fault: $0.fault, evidence: $0.evidence) }
        if let status = verdict.authorization, options.hasAuthorization {
            let challenge = verdict.challenge.map { ["WWW-Authenticate: \($0)"] } ?? []
            report.problems.append(.init(hop: .mcp, fault: .loginRefused, evidence: ["\(status)"] + challenge))
        }
        printer.show(verdict)
    }

    /// What a client that refuses a certificate cannot tell: which one it is.
    private mutating func addEvidenceOfCertificate() async {
        guard let last = report.problems.popLast() else { return }
        var evidence = last.evidence
        if let shown = try? await ProbeTunnel.certificate(options, on: reactor) {
            let names = shown.dnsNames.joined(separator: ", ")
            evidence.append("the proxy shows \(shown.subject.isEmpty ? "a certificate" : shown.subject) for \(names)")
            evidence.append("issued by \(shown.issuer), SHA-256 \(shown.fingerprint)")
            let days = ProbeReport.ShownCertificate(certificate: shown).daysLeft(now: SystemClock.now().seconds)
            evidence.append(days < 0 ? "ended \(-days) days ago" : "ends in \(days) days")
        }
        report.problems.append(.init(hop: last.hop, fault: last.fault, evidence: evidence))
    }
}

extension ProbeTunnel {
    /// The certificate that the proxy shows, whoever signed it.
    static func certificate(_ options: ProbeOptions, on reactor: Reactor) async throws -> Certificate {
        let (host, limit) = (options.host, options.limit)
        let farSide: FarSide =
            switch options.place {
            case .address(let target):
                try await FarSide.connect(to: target, host: host, within: limit, on: reactor)
            case .name(let name, let port):
                try await FarSide.connect(toName: name, port: port, host: host, within: limit, on: reactor)
            }
        try await farSide.openWebSocket()
        return try Certificate(der: try await farSide.inspectCertificate(name: host))
    }
}
