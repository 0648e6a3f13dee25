import FoundationEssentials
public import TunnelAPI
import TunnelCore

/// What the program offers below `/_fake/` to tests in other languages. It is not part of what is faked.
///
/// | request | answer |
/// |---|---|
/// | `GET /_fake/requests` | `{"requests": [...]}`, oldest first, with their secrets |
/// | `GET /_fake/state` | tunnels, certificates, access tokens, audit, authentications, faults; times in microseconds |
/// | `POST /_fake/faults` | adds a fault, or an array of them: ``FakeFault``'s members, with `_` for capitals |
/// | `DELETE /_fake/faults` | removes those that wait |
/// | `POST /_fake/tunnels` | makes a tunnel as the Console does: `display_name`, `id`, `workspace_id`, each optional |
/// | `POST /_fake/clock` | `{"advance": SECONDS}` moves the clock |
/// | `POST /_fake/revoke-access-tokens` | makes them invalid before their time |
/// | `POST /_fake/reset` | back to the beginning |
/// | `GET /_fake/identity-token` | a fresh one as plain text; `?lifetime=SECONDS&subject=S&rule=ID` |
public struct FakeControl: Sendable {
    public static let prefix = "/_fake/"
    /// Ten years either way, in seconds.
    static let advances: ClosedRange<Int64> = -315_360_000...315_360_000
    /// In seconds; below zero for an identity token that has expired.
    static let identityLifetimes = -86_400...86_400

    private let api: FakeTunnelsAPI

    public init(_ api: FakeTunnelsAPI) { self.api = api }

    /// - Returns: 200, or 400 or 404 with what is wrong; `nil` for a path that is not below ``prefix``.
    public func answer(_ request: FakeRequest) -> HTTPResponse? {
        guard request.path.hasPrefix(FakeControl.prefix) else { return nil }
        do throws(FakeError) { return try perform(request) } catch {
            return FakeControl.response(["error": .string(error.message)], status: error.status)
        }
    }

    private func perform(_ request: FakeRequest) throws(FakeError) -> HTTPResponse {
        switch (request.method, request.path.dropFirst(FakeControl.prefix.utf8.count)) {
        case ("GET", "requests"):
            return FakeControl.response(["requests": .array(api.requests.map(\.report))])
        case ("GET", "state"): return HTTPResponse(status: 200, fields: FakeControl.fields, body: try state())
        case ("POST", "faults"): try addFaults(try body(request))
        case ("DELETE", "faults"): api.removeFaults()
        case ("POST", "tunnels"):
            let tunnel = try makeTunnel(try members(try body(request), ["display_name", "id", "workspace_id"]))
            return FakeControl.response(tunnel.json(.first))
        case ("POST", "clock"):
            guard let seconds = try members(try body(request), ["advance"])["advance"]?.integer,
                FakeControl.advances.contains(seconds)
            else { throw .invalid("advance: must be a number of seconds in \(FakeControl.advances)") }
            api.advance(bySeconds: Int(seconds))
        case ("POST", "revoke-access-tokens"): api.revokeAccessTokens()
        case ("POST", "reset"): api.reset()
        case ("GET", "identity-token"):
            return HTTPResponse(
                status: 200, fields: [HTTPField("content-type", "text/plain")], body: try identityToken(request))
        default: throw FakeError(404, "nothing is here; see FakeControl")
        }
        return FakeControl.response([:])
    }

    private func body(_ request: FakeRequest) throws(FakeError) -> FakeJSON {
        guard let json = try? FakeJSON(parsing: request.body) else { throw .invalid("the body is not JSON") }
        return json
    }

    private func members(_ json: FakeJSON, _ names: [String]) throws(FakeError) -> [String: FakeJSON] {
        guard let members = json.members else { throw .invalid("must be a JSON object") }
        for name in members.keys.sorted() where !names.contains(name) {
            let hint = nearestName(to: name, among: names).map { ", did you mean \($0)?" } ?? ""
            throw .invalid("\(name): unknown\(hint)")
        }
        return members
    }

    private func identityToken(_ request: FakeRequest) throws(FakeError) -> [UInt8] {
        let query = try FakeQuery(request)
        try query.allow(["lifetime", "subject", "rule"])
        let id = query["rule"]
        guard let rule = api.configuration.rules.first(where: { id == nil || $0.id == id }) else {
            throw .invalid("rule: there is none of that id")
        }
        guard let lifetime = Int(query["lifetime"] ?? "600"), FakeControl.identityLifetimes.contains(lifetime) else {
            throw .invalid("lifetime: must be a number of seconds in \(FakeControl.identityLifetimes)")
        }
        return Array(api.identityToken(for: rule, subject: query["subject"], lifetime: lifetime).utf8)
    }

    private func makeTunnel(_ members: [String: FakeJSON]) throws(FakeError) -> FakeTunnel {
        var texts: [String: String] = [:]
        for (name, value) in members where value != .null {
            guard let text = value.text else { throw .invalid("\(name): must be a string") }
            texts[name] = text
        }
        if let id = texts["id"] {
            guard FakeConfiguration.InitialTunnel.isID(id), !api.tunnels.contains(where: { $0.id == id }) else {
                throw .invalid("id: must be a new tunnel id (`tnl_...`)")
            }
        }
        if let workspace = texts["workspace_id"], !FakeState.isWorkspaceID(workspace) {
            throw .invalid("workspace_id: must be a workspace id (`wrkspc_...`), or be left out for the default one")
        }
        return api.makeTunnel(displayName: texts["display_name"], id: texts["id"], workspaceID: texts["workspace_id"])
    }

    private func addFaults(_ json: FakeJSON) throws(FakeError) {
        let names = FakeFault.memberNames
        var faults: [FakeFault] = []
        for element in json.elements ?? [json] { faults.append(try FakeFault(try members(element, names))) }
        for fault in faults where !api.fail(fault) {
            throw .invalid("\(FakeFault.maxWaiting) faults are waiting; no more fit")
        }
    }

    // MARK: Reports

    private static let fields = [HTTPField("content-type", "application/json")]

    private static func response(_ json: FakeJSON, status: Int = 200) -> HTTPResponse {
        HTTPResponse(status: status, fields: fields, body: json.bytes)
    }

    private struct State: Encodable {
        let now: Int64
        let tunnels: [FakeTunnel]
        let certificates: [FakeCertificate]
        let accessTokens: [FakeAccessToken]
        let audit: [FakeAuditEvent]
        let authentications: [FakeAuthentication]
        let faults: [FakeFault]
    }

    private func state() throws(FakeError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let state = State(
            now: api.now.microseconds, tunnels: api.tunnels, certificates: api.certificates,
            accessTokens: api.accessTokens, audit: api.audit, authentications: api.authentications, faults: api.faults)
        do { return [UInt8](try encoder.encode(state)) } catch { throw FakeError(500, "\(error)") }
    }
}

extension FakeRecord {
    fileprivate var report: FakeJSON {
        [
            "request_id": .string(requestID), "method": .string(method), "target": .string(target),
            "path": .string(path),
            "fields": .array(fields.map { [.string($0.name), .string($0.value)] }),
            "body": .string(String(decoding: body, as: UTF8.self)),
            "status": status.map { .integer(Int64($0)) } ?? .null, "fault": .optional(fault?.rawValue),
            "was_acted_on": .bool(wasActedOn),
        ]
    }
}
