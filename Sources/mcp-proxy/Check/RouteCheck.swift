import TunnelCore
import TunnelIO
import TunnelPKI
import TunnelProxy

/// Follows one route to its MCP server as a request would: public URL, name, addresses, TCP, TLS, MCP, authorization.
///
/// What fails ends it; the steps behind are skipped, and other routes do not notice.
final class RouteCheck {
    private let review: ConfigurationReview
    private let route: Route
    private let name: String
    private let options: CheckOptions
    private let times: StepTimes
    private let reactor: Reactor
    private(set) var results: [CheckResult] = []
    private(set) var report: RouteReport
    /// Seconds since 1970 by the MCP server's clock and by ours.
    private(set) var date: (theirs: Int64, ours: Int64)?

    /// In the order of the way.
    enum Step: String, CaseIterable {
        case name = "route.dns", address = "route.address", tcp = "route.tcp", tls = "route.tls", mcp = "route.mcp"
        case authorization = "route.oauth"
    }

    /// Addresses of one name that are tried; a name with more is a mistake or an attack.
    private static let maxAddresses = 8
    private static let noticeDays: Int64 = 14

    /// - Parameter name: by which it is told from others; with several tunnels the key is not enough.
    init(
        _ review: ConfigurationReview, _ route: Route, named name: String, _ options: CheckOptions, on reactor: Reactor
    ) {
        (self.review, self.route, self.name, self.options, self.reactor) = (review, route, name, options, reactor)
        times = StepTimes(step: options.timeout, on: reactor)
        report = RouteReport(
            name: name, publicUrl: review.configuration.publicURL(of: route), upstream: "\(route.upstream)")
    }

    func run() async {
        checkURL()
        var step = Step.name
        do {
            let found = try await lookUp()
            step = .address
            let allowed = try judge(found)
            step = .tcp
            let connection = try await connect(allowed)
            step = .tls
            try await shakeHands(connection)
            step = .mcp
            let carrier = UpstreamCarrier(review, route, allowed, times: times, on: reactor)
            carrier.adopt(connection)
            defer { date = carrier.date }
            guard let verdict = try await holdDialogue(carrier) else { return skip(after: .mcp) }
            step = .authorization
            await checkAuthorization(carrier, verdict)
        } catch {
            let failure = error as? UpstreamFailure ?? UpstreamFailure(.notHTTP, "\(error)")
            add(.found(failure.fault, in: step.rawValue, evidence: failure.evidence))
            skip(after: step)
        }
    }

    private func add(_ result: CheckResult) { results.append(result.of(name)) }

    private func skip(after step: Step) {
        for next in Step.allCases.drop(while: { $0 != step }).dropFirst() {
            add(.skip(next.rawValue))
        }
    }

    private func milliseconds(since start: UInt64) -> Int { Int(clamping: (Reactor.clock() &- start) / 1_000_000) }

    // MARK: URL, name, address

    private func checkURL() {
        if let url = report.publicUrl { return add(.pass("route.url", url)) }
        let domain = review.configuration.tunnelDomain ?? ""
        add(.found(.routeUnreachable, in: "route.url", evidence: ["\(route.key) does not end in .\(domain)"]))
    }

    private func lookUp() async throws -> [IPAddress] {
        if let path = route.upstream.socketPath {
            add(.pass(Step.name.rawValue, "\(path) is a socket"))
            return []
        }
        let (host, start) = (route.upstream.host, Reactor.clock())
        let found: [IPAddress]
        do throws(IOError) { found = try await reactor.resolver.resolve(host, timeout: times.next, ttl: 0) } catch {
            throw UpstreamFailure(lookup: host, error)
        }
        let isLiteral = IPAddress(host) != nil
        let shown = found.prefix(Self.maxAddresses).map { "\($0)" }.joined(separator: ", ")
        add(
            isLiteral
                ? .pass(Step.name.rawValue, "\(host) is an address")
                : .pass(Step.name.rawValue, "\(host) is \(shown)", ms: milliseconds(since: start)))
        return found
    }

    /// The addresses that may be dialled. No other one is.
    private func judge(_ found: [IPAddress]) throws -> [SocketAddress] {
        if let path = route.upstream.socketPath {
            add(.pass(Step.address.rawValue, "a socket that the configuration names"))
            return [.unix(path: path)]
        }
        let verdicts = found.map { ($0, review.verdict($0, of: route)) }
        report.addresses = verdicts.map { address, verdict in
            RouteReport.Address(address: "\(address)", allowed: verdict.isAllowed, verdict: verdict.name)
        }
        let allowed = verdicts.filter { $0.1.isAllowed }.map(\.0)
        let evidence = verdicts.map { "\($0): \($1.name)" }
        if allowed.isEmpty {
            var fault = Fault.addressRefused
            if case .denied(let refusal)? = verdicts.first?.1 {
                fault = refusal == .ownListener ? .addressOwn : refusal == .notAllowed ? fault : .addressSpecial
            }
            var failure = UpstreamFailure(fault)
            failure.evidence = evidence
            throw failure
        }
        add(
            allowed.count < found.count
                ? .found(.addressPartly, in: Step.address.rawValue, evidence: evidence)
                : .pass(Step.address.rawValue, evidence.joined(separator: ", "), evidence: evidence))
        return Connector.alternating(allowed).map { .ip($0, port: route.upstream.port) }
    }

    // MARK: TCP and TLS

    /// Dials each address; the first that accepts goes on, as the proxy would.
    private func connect(_ addresses: [SocketAddress]) async throws -> ClientConnection {
        var (first, failure): (ClientConnection?, UpstreamFailure?)
        var evidence: [String] = []
        let start = Reactor.clock()
        for address in addresses.prefix(Self.maxAddresses) {
            do {
                let began = Reactor.clock()
                let connection = try await UpstreamCarrier.dial([address], within: times.next, on: reactor)
                evidence.append("\(address): connected in \(milliseconds(since: began)) ms")
                if first == nil { first = connection } else { connection.close() }
            } catch let error as UpstreamFailure {
                evidence += error.evidence
                failure = failure ?? error
            }
        }
        guard let first else {
            var failure = failure ?? UpstreamFailure(.unreachable)
            failure.evidence = evidence
            throw failure
        }
        let ms = milliseconds(since: start)
        add(
            failure == nil
                ? .pass(Step.tcp.rawValue, "\(first.address) accepts connections", evidence: evidence, ms: ms)
                : .found(.addressDead, in: Step.tcp.rawValue, evidence: evidence, ms: ms))
        return first
    }

    private func shakeHands(_ connection: ClientConnection) async throws {
        guard let tls = review.tls(of: route) else {
            let scheme = route.upstream.scheme.rawValue
            return add(.skip(Step.tls.rawValue, "the route is \(scheme)"))
        }
        let start = Reactor.clock()
        do throws(IOError) {
            try await connection.startTLS(
                tls.context, serverName: tls.name, offering: review.offeredProtocols, timeout: times.next)
            if let refusal = review.pinRefusal(connection.peerCertificate, of: route) {
                throw IOError(.tls, "handshake", detail: refusal)
            }
        } catch {
            connection.close()
            var failure = UpstreamFailure(tls: error, to: connection.address)
            failure.evidence += await certificateShown(by: connection.address, tls.name)
            throw failure
        }
        let agreed = "\(connection.tlsVersion ?? "TLS"), ALPN \(connection.applicationProtocol ?? "none")"
        let leaf = connection.peerCertificate.flatMap { try? Certificate(der: $0) }
        let days = leaf.map { ($0.notAfter - SystemClock.now().seconds) / 86_400 }
        let evidence = leaf.map { Self.facts($0) } ?? []
        let ms = milliseconds(since: start)
        if let days, days < Self.noticeDays {
            return add(
                .found(
                    .tlsExpiresSoon, in: Step.tls.rawValue, summary: "the upstream's certificate ends in \(days) days",
                    evidence: evidence, ms: ms))
        }
        let ends = days.map { ", \($0) days left" } ?? ""
        add(.pass(Step.tls.rawValue, "\(agreed)\(ends)", evidence: evidence, ms: ms))
    }

    /// What a certificate says that was not accepted; nothing where the server shows none.
    private func certificateShown(by address: SocketAddress, _ name: String) async -> [String] {
        guard let context = try? TLSInspection.context(),
            let connection = try? await UpstreamCarrier.dial([address], within: times.next, on: reactor)
        else { return [] }
        defer { connection.close() }
        guard (try? await connection.startTLS(context, serverName: name, timeout: times.next)) != nil,
            let leaf = connection.peerCertificate.flatMap({ try? Certificate(der: $0) })
        else { return [] }
        return Self.facts(leaf)
    }

    private static func facts(_ leaf: Certificate) -> [String] {
        let names = leaf.extensions.subjectAlternativeNames.prefix(8).map { Diagnostic.excerpt("\($0)") }
        return [
            "the certificate is for \(names.isEmpty ? "no name" : names.joined(separator: ", "))",
            "it was issued by \(Diagnostic.excerpt(leaf.issuer, limit: 120))",
            "it is valid from \(HTTPDate.text(leaf.notBefore)) to \(HTTPDate.text(leaf.notAfter))",
        ]
    }

    // MARK: MCP

    /// - Returns: what the server is; `nil` where that has failed and is told.
    private func holdDialogue(_ carrier: UpstreamCarrier) async throws -> MCPVerdict? {
        let start = Reactor.clock()
        var verdict = MCPVerdict(path: "")
        for path in options.paths {
            var dialogue = MCPDialogue(path: path, clock: { Reactor.clock() }, over: carrier)
            verdict = try await dialogue.run()
            guard verdict.problems.first?.fault == .notFound else { break }
        }
        let (step, ms) = (Step.mcp.rawValue, milliseconds(since: start))
        report.mcp = RouteReport.Server(
            path: verdict.path, era: verdict.era?.rawValue,
            versions: verdict.versions.prefix(16).map { Diagnostic.excerpt($0, limit: 32) },
            name: verdict.server.map { Diagnostic.excerpt($0) },
            authorization: verdict.authorization, get: verdict.get)
        let asked = verdict.steps.map(\.description)
        for problem in verdict.problems {
            add(
                .found(
                    problem.fault, in: step, evidence: problem.evidence + asked,
                    next: remedy(for: problem.fault, verdict),
                    ms: ms))
        }
        if verdict.hasFailed { return nil }
        let slowest = verdict.steps.filter { $0.name != "GET" }.map(\.milliseconds).max() ?? 0
        if slowest > 2_000 { add(.found(.slow, in: step, evidence: asked, ms: ms)) }
        if !results.contains(where: { $0.id == step }) {
            add(.pass(step, Self.words(verdict), evidence: asked, ms: ms))
        }
        return verdict
    }

    private static func words(_ verdict: MCPVerdict) -> String {
        if let status = verdict.authorization { return "reachable, needs authorization (\(status)) at \(verdict.path)" }
        let server = verdict.server.map { Diagnostic.excerpt($0) } ?? "a server without name"
        let versions = verdict.versions.map { Diagnostic.excerpt($0, limit: 32) }.joined(separator: ", ")
        let era =
            switch verdict.era {
            case .modern: "server/discover"
            case .legacy: "initialize"
            case .old: "HTTP+SSE"
            case nil: "?"
            }
        return "\(server) at \(verdict.path) speaks MCP \(versions) (\(era))"
    }

    /// What to do here, where names and values make it plainer than the table can.
    private func remedy(for fault: Fault, _ verdict: MCPVerdict) -> [String] {
        let host = review.hostField(of: route)
        switch fault {
        case .misdirected
        where (review.options(of: route).hostHeader ?? review.configuration.upstream.hostHeader) == .preserve:
            return [
                "in the server: security = TransportSecuritySettings(allowed_hosts=[\"\(host)\"]), which is in"
                    + " mcp.server.transport_security, and then",
                "    Python SDK 1.x: FastMCP(\"name\", host=\"0.0.0.0\", transport_security=security)",
                "    Python SDK 2.x: mcp.run(transport=\"streamable-http\", host=\"0.0.0.0\", transport_security=security)",
                "or in the proxy: upstream.host_header: upstream, with \"\(authority)\" in the server's list",
            ]
        case .misdirected:
            return ["the proxy sends \"\(host)\", by upstream.host_header: upstream: allow that, or remove the setting"]
        case .notFound where options.path == nil:
            return [
                "name the server's path: mcp-proxy check -path /PATH; there is nothing at \(options.paths.joined(separator: ", "))"
            ]
        default: return []
        }
    }

    private var authority: String { route.upstream.authority }

    // MARK: Authorization

    private func checkAuthorization(_ carrier: UpstreamCarrier, _ verdict: MCPVerdict) async {
        let start = Reactor.clock()
        let check = AuthorizationCheck(review, route, path: verdict.path, needsIt: verdict.authorization == 401)
        let (found, servers) = await check.run(carrier, challenge: verdict.challenge)
        report.authorizationServers = servers?.map { Diagnostic.excerpt($0, limit: 200) }
        for var result in found {
            result.ms = milliseconds(since: start)
            add(result)
        }
    }
}
