import TunnelCore
import TunnelProxy

/// Finds out whether an MCP server is healthy, and of which era, as Claude's clients do it: `server/discover` first; on a
/// refusal that no server of 2026-07-28 would give, `initialize`, and the session is deleted again; then GET.
///
/// It takes its requests in turn over a ``MCPCarrier``, and nothing that it asks has an effect.
struct MCPDialogue {
    private let carrier: any MCPCarrier
    private let wantsTools: Bool
    /// Monotonic nanoseconds.
    private let clock: () -> UInt64
    private var verdict: MCPVerdict
    private var path: String { verdict.path }

    init(
        path: String, wantsTools: Bool = false, clock: @escaping () -> UInt64, over carrier: any MCPCarrier
    ) {
        (self.carrier, self.wantsTools, self.clock) = (carrier, wantsTools, clock)
        verdict = MCPVerdict(path: path)
    }

    /// - Throws: what the carrier throws before the server has shown what it is.
    mutating func run() async throws -> MCPVerdict {
        let response = try await ask("server/discover", .discover(path))
        switch Self.outcome(MCPRequest.discoverID, response) {
        case .result(let result):
            verdict.era = .modern
            try await finishModern(result)
        case .error(let error) where error.isModern: try await judge(error)
        case .stop(let problem): stop(response, problem)
        case .error, .refused, .nonsense: try await initialize(after: response)
        }
        return verdict
    }

    // MARK: 2026-07-28

    private mutating func finishModern(_ result: MCPMessage.Result) async throws {
        (verdict.versions, verdict.server) = (result.supportedVersions, result.server)
        checkVersions()
        if wantsTools, !verdict.hasFailed {
            let response = try await ask("tools/list", .listTools(path, in: nil))
            takeTools(response)
        }
        await lookAtGet(in: nil)
    }

    private mutating func judge(_ error: MCPMessage.Failure) async throws {
        let words = Self.words(error)
        switch error.code {
        case MCPMessage.Failure.headerMismatch: verdict.problems.append(.init(.headerMismatch, words))
        case MCPMessage.Failure.missingCapability: verdict.problems.append(.init(.capabilityRequired, words))
        default:
            // It may say so of this version alone, and take the older handshake.
            if error.supportedVersions.contains(where: {
                MCPRequest.knownVersions.contains($0) && $0 != MCPRequest.modern
            }) {
                return try await initialize(after: nil)
            }
            (verdict.era, verdict.versions) = (.modern, error.supportedVersions)
            verdict.problems.append(.init(.versionUnknown, words, Self.list(error.supportedVersions)))
        }
    }

    private mutating func checkVersions() {
        guard !verdict.versions.contains(where: MCPRequest.knownVersions.contains) else { return }
        verdict.problems.append(.init(.versionUnknown, Self.list(verdict.versions)))
    }

    // MARK: Up to 2025-11-25

    /// - Parameter discovery: the response to `server/discover`, where that was no refusal of its version.
    private mutating func initialize(after discovery: MCPResponse?) async throws {
        let response = try await ask("initialize", .initialize(path))
        switch Self.outcome("1", response) {
        case .result(let result): try await finishLegacy(result, response, after: discovery)
        case .error(let error) where error.code == MCPMessage.Failure.unsupportedVersion:
            verdict.problems.append(.init(.versionUnknown, Self.words(error), Self.list(error.supportedVersions)))
        case .error(let error): verdict.problems.append(.init(.protocolError, Self.words(error)))
        case .stop(let problem): stop(response, problem)
        case .nonsense(let fault): verdict.problems.append(.init(fault, Self.words(response)))
        case .refused:
            if try await isOldTransport() {
                verdict.era = .old
                verdict.problems.append(.init(.oldTransport, "GET \(path) opens an event stream with an endpoint"))
                return
            }
            let fault: Fault =
                switch response.status {
                case 404: .notFound
                case 405: .postNotAllowed
                default: .badRequest
                }
            verdict.problems.append(.init(fault, Self.words(response)))
        }
    }

    private mutating func finishLegacy(
        _ result: MCPMessage.Result, _ response: MCPResponse, after discovery: MCPResponse?
    ) async throws {
        let version = result.protocolVersion ?? MCPRequest.legacy
        (verdict.era, verdict.versions, verdict.server) = (.legacy, [version], result.server)
        checkVersions()
        if let discovery, case .nonsense = Self.outcome(MCPRequest.discoverID, discovery) {
            verdict.problems.append(.init(.discoverNotJSON, Self.words(discovery)))
        }
        // What goes into a field of ours may not end it.
        let id = response["mcp-session-id"].flatMap { $0.utf8.allSatisfy { (0x21...0x7E).contains($0) } ? $0 : nil }
        let session = MCPSession(id: id, version: HTTPToken.isToken(version) ? version : MCPRequest.legacy)
        if wantsTools, !verdict.hasFailed {
            _ = try await ask("notifications/initialized", .initialized(path, in: session))
            takeTools(try await ask("tools/list", .listTools(path, in: session)))
        }
        await lookAtGet(in: session)
        // A server may take no DELETE, and forget the session by itself.
        if session.id != nil { _ = try? await ask("DELETE", .end(session, path)) }
    }

    private mutating func takeTools(_ response: MCPResponse) {
        switch Self.outcome("2", response) {
        case .result(let result): verdict.tools = result.tools ?? []
        case .error(let error): verdict.problems.append(.init(.protocolError, "tools/list: \(Self.words(error))"))
        case .stop(let problem): stop(response, problem)
        case .refused: verdict.problems.append(.init(.badRequest, "tools/list: \(Self.words(response))"))
        case .nonsense(let fault): verdict.problems.append(.init(fault, "tools/list: \(Self.words(response))"))
        }
    }

    // MARK: GET

    /// 405 is what most servers say; a stream, 400 and 404 are in order too.
    private mutating func lookAtGet(in session: MCPSession?) async {
        do {
            let response = try await ask("GET", .get(path, in: session))
            verdict.get = response.status
            if response.status >= 500 { verdict.problems.append(.init(.getFails, Self.words(response))) }
        } catch {
            verdict.problems.append(.init(.getFails, "GET \(path): \(error)"))
        }
    }

    /// A server of 2024 tells by its first event where to post.
    private mutating func isOldTransport() async throws -> Bool {
        let reads = MCPRequest.Reads.until { body in !MCPMessage.events(body).isEmpty }
        let session = MCPSession(id: nil, version: "2024-11-05")
        guard let response = try? await ask("GET", .get(path, in: session, reads: reads)), response.status == 200 else {
            return false
        }
        let lines = response.text.split(whereSeparator: \.isNewline)
        return response.isEventStream && lines.contains { $0 == "event: endpoint" || $0 == "event:endpoint" }
    }

    // MARK: One response

    private mutating func ask(_ name: String, _ request: MCPRequest) async throws -> MCPResponse {
        let start = clock()
        let response = try await carrier.send(request)
        let time = Duration.nanoseconds(Int64(clamping: clock() &- start))
        verdict.steps.append(MCPVerdict.Step(name: name, status: response.status, time: time))
        return response
    }

    private enum Outcome {
        case result(MCPMessage.Result)
        case error(MCPMessage.Failure)
        /// Nothing else need be asked; `nil` where the server wants authorization.
        case stop(MCPVerdict.Problem?)
        /// 400, 404, 405 and the like, without a JSON-RPC error.
        case refused
        /// A success without a response in it.
        case nonsense(Fault)
    }

    private static func outcome(_ id: String, _ response: MCPResponse) -> Outcome {
        let message = MCPMessage.find(id, in: response)
        switch response.status {
        case 421: return .stop(.init(.misdirected, words(response)))
        case 401: return .stop(nil)
        // Other SDKs refuse a host by 403.
        case 403:
            return response.text.lowercased().contains("invalid host")
                ? .stop(.init(.misdirected, words(response))) : .stop(nil)
        case 300..<400:
            let place = response["location"].map { Diagnostic.excerpt($0, limit: 200) } ?? "no Location"
            return .stop(.init(.redirected, "\(response.status) to \(place)"))
        case 429: return .stop(.init(.tooMany, words(response)))
        case 500...: return .stop(.init(.serverError, words(response)))
        default: break
        }
        if let result = message?.result, response.status < 300 { return .result(result) }
        if let error = message?.error { return .error(error) }
        guard response.status < 300 else { return .refused }
        return .nonsense(response.isEventStream ? .streamWithoutResponse : .notMCP)
    }

    private mutating func stop(_ response: MCPResponse, _ problem: MCPVerdict.Problem?) {
        if let problem { return verdict.problems.append(problem) }
        verdict.authorization = response.status
        verdict.challenge = response["www-authenticate"]
    }

    // MARK: Words

    /// Status and the beginning of the body, on one line.
    private static func words(_ response: MCPResponse) -> String {
        let lines = String(decoding: response.body.prefix(1024), as: UTF8.self).split(whereSeparator: \.isWhitespace)
        let text = Diagnostic.excerpt(lines.joined(separator: " "), limit: 160)
        let type = response.type.isEmpty ? "" : " \(Diagnostic.excerpt(response.type))"
        return "\(response.status)\(type)" + (text.isEmpty ? "" : ": \(text)")
    }

    private static func words(_ error: MCPMessage.Failure) -> String {
        "JSON-RPC error \(error.code): \(Diagnostic.excerpt(error.message, limit: 160))"
    }

    private static func list(_ versions: [String]) -> String {
        let shown = versions.prefix(8).map { Diagnostic.excerpt($0, limit: 32) }.joined(separator: ", ")
        return "the server offers \(shown.isEmpty ? "no version" : shown); Claude knows "
            + MCPRequest.knownVersions.joined(separator: ", ")
    }
}
