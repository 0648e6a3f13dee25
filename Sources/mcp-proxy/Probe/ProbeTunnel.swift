import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelPKI
import TunnelProxy

/// One tunnel to the proxy after another, as a probe needs them: each is opened hop by hop, and noted in a report.
///
/// It also carries the dialogue of MCP, which may leave a response before its end: then the tunnel is closed, and the next
/// request opens another one.
final class ProbeTunnel: MCPCarrier {
    private let options: ProbeOptions
    private let trust: FarSide.Trust
    private let reactor: Reactor
    private let noteStep: (ProbeReport.Step) -> Void
    private var farSide: FarSide?
    /// What the first connection has shown.
    private(set) var tls: FarSide.TLSFacts?
    private(set) var resumption: FarSide.Resumption?
    /// Set where an error is thrown, for whoever catches it.
    private(set) var problem: ProbeReport.Problem?
    /// Only the first tunnel is told of step by step.
    private var isFirst = true

    /// - Parameter note: gets each step when it is done.
    init(
        _ options: ProbeOptions, trusting trust: FarSide.Trust, resuming resumption: FarSide.Resumption?,
        on reactor: Reactor, note: @escaping (ProbeReport.Step) -> Void
    ) {
        (self.options, self.trust, self.resumption) = (options, trust, resumption)
        (self.reactor, noteStep) = (reactor, note)
    }

    /// Why a probe ends: a problem was noted.
    struct Failure: Error {}
    /// The rest of a response is not wanted.
    private struct Enough: Error {}

    // MARK: Opening

    /// Opens a tunnel, unless there is one.
    func open() async throws -> FarSide {
        if let farSide { return farSide }
        let limit = options.limit
        let farSide: FarSide
        switch options.place {
        case .name(let name, let port):
            let start = reactor.now
            let targets = try await step(.name, "\(name)") {
                try await FarSide.lookUp(name, port: port, within: limit, on: reactor)
            } detail: { targets in
                targets.map { "\($0)" }.joined(separator: ", ")
            }
            farSide = try await step(.tcp) {
                try await FarSide.connect(to: targets, host: options.host, within: limit, since: start, on: reactor)
            } detail: {
                "connected to \($0.target)"
            }
        case .address(let target):
            let hop = if case .unix = target { ProbeReport.Hop.unix } else { ProbeReport.Hop.tcp }
            farSide = try await step(hop) {
                try await FarSide.connect(to: target, host: options.host, within: limit, on: reactor)
            } detail: {
                "connected to \($0.target)"
            }
        }
        try await step(.websocket) {
            try await farSide.openWebSocket()
        } detail: {
            "101 Switching Protocols"
        }
        try await step(.tls) {
            try await farSide.shakeHands(trusting: trust, resuming: resumption)
        } detail: {
            farSide.tlsFacts.map(Self.words) ?? ""
        }
        if isFirst { tls = farSide.tlsFacts }
        isFirst = false
        self.farSide = farSide
        return farSide
    }

    /// Ends the tunnel in order.
    func close() async {
        guard let open = farSide.take() else { return }
        keepSession(of: open)
        open.allow(.seconds(2))
        _ = try? await open.close()
    }

    private func keepSession(of farSide: FarSide) {
        if let found = farSide.resumption { resumption = found }
    }

    static func words(_ facts: FarSide.TLSFacts) -> String {
        let version = facts.version == "TLS 1.3" ? "TLSv1.3" : "TLSv1.2"
        let group = facts.group.map { "  \($0)" } ?? ""
        let alpn = facts.applicationProtocol ?? "none"
        return "\(version)  \(facts.cipher)\(group)  ALPN \(alpn)\(facts.isResumed ? "  resumed" : "")"
    }

    private func step<Result>(
        _ hop: ProbeReport.Hop, _ title: String? = nil, _ body: () async throws -> Result,
        detail: (Result) -> String
    ) async throws -> Result {
        let start = Reactor.clock()
        do {
            let result = try await body()
            note(hop, title, since: start, detail(result))
            return result
        } catch {
            throw fail(ProbeReport.Problem(error, at: hop), since: start)
        }
    }

    private func step(
        _ hop: ProbeReport.Hop, _ body: () async throws -> Void, detail: () -> String
    ) async throws { try await step(hop, nil, body) { _ in detail() } }

    func note(_ hop: ProbeReport.Hop, _ title: String? = nil, since start: UInt64, _ detail: String) {
        guard isFirst || hop == .request || hop == .mcp else { return }
        noteStep(.init(hop: hop, title: title ?? hop.title, time: .since(start), detail: detail))
    }

    private func fail(_ problem: ProbeReport.Problem, since start: UInt64) -> Failure {
        self.problem = problem
        let title = problem.hop.title
        noteStep(.init(hop: problem.hop, title: title, time: .since(start), detail: "", isDone: false))
        return Failure()
    }

    // MARK: Requests

    /// One request of a handshake of MCP.
    func send(_ request: MCPRequest) async throws -> MCPResponse {
        let (farSide, start) = (try await open(), Reactor.clock())
        farSide.allow(options.limit)
        var (head, body) = (FarSide.Response?.none, [UInt8]())
        do {
            _ = try await farSide.exchange(
                request.method, request.path, fields: agent + request.fields + options.fields, body: request.body
            ) { response in
                head = response
                if case .head = request.reads { throw Enough() }
            } onBody: { response, piece in
                body += piece
                if body.count > MCPResponse.maxBody || (response.isEventStream && request.reads.isEnough(body)) {
                    throw Enough()
                }
            }
        } catch is Enough {
            keepSession(of: farSide)
            self.farSide = nil
        } catch {
            self.farSide = nil
            throw fail(.init(error, at: .mcp, hasBegun: head != nil), since: start)
        }
        guard let head else { throw Failure() }
        let response = MCPResponse(status: Int(head.status), fields: head.fields, body: body)
        if let own = ProbeReport.Problem(status: response.status, type: response.type, body: body) {
            throw fail(own, since: start)
        }
        return response
    }

    private var agent: [(name: String, value: String)] {
        options.fields.contains { $0.name.lowercased() == "user-agent" }
            ? [] : [("User-Agent", "mcp-proxy-probe/\(PackageVersion.current)")]
    }

    /// One plain request, whose response is handed on as it comes.
    ///
    /// - Returns: the head, and how many bytes its body had.
    func send(
        _ plain: ProbeOptions.Plain, onHead: (FarSide.Response) -> Void, onBody: ([UInt8]) -> Void
    ) async throws -> ProbeReport.Answer {
        let (farSide, start) = (try await open(), Reactor.clock())
        farSide.allow(options.limit)
        var (answer, beginning, type) = (ProbeReport.Answer?.none, [UInt8](), "")
        do {
            _ = try await farSide.exchange(
                plain.method, options.path, fields: agent + options.fields, body: plain.body
            ) { response in
                answer = ProbeReport.Answer(status: response.status, firstByte: .since(start))
                type = response["content-type"] ?? ""
                // A stream may be silent for as long as it likes.
                farSide.allow(nil)
                onHead(response)
            } onBody: { _, piece in
                answer?.bytes += piece.count
                if beginning.count < 200 { beginning += piece.prefix(200) }
                onBody(piece)
            }
        } catch {
            self.farSide = nil
            throw fail(.init(error, at: .request, hasBegun: answer != nil), since: start)
        }
        guard let answer else { throw Failure() }
        note(.request, plain.method, since: start, "\(answer.status), \(answer.bytes) bytes")
        let mediaType = type.split(separator: ";").first.map { $0.filter { $0 != " " }.lowercased() } ?? ""
        problem =
            ProbeReport.Problem(status: Int(answer.status), type: mediaType, body: beginning)
            ?? ProbeReport.Problem(
                status: Int(answer.status), isLoggedIn: options.hasAuthorization,
                evidence: ["\(plain.method) \(options.path): \(answer.status)"])
        return answer
    }
}

extension Duration {
    /// From a moment of the loops' clock until now.
    static func since(_ start: UInt64) -> Duration {
        .nanoseconds(Int64(clamping: Reactor.clock() &- start))
    }
}
