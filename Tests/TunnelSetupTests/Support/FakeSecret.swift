import FoundationEssentials
import Synchronization
import TunnelAPI
import TunnelCore

@testable import TunnelSetup

/// A cluster's API with one Secret, as far as ``KubernetesSecretStore`` can tell: versions, merge patches, refusals, and
/// whatever a test lets happen before or after a request.
final class FakeSecret: HTTPTransport {
    struct State {
        /// `nil` if there is no Secret.
        var data: [String: String]?
        var labels: [String: String] = [:]
        var version = 100
        var isImmutable = false
        var requests: [HTTPRequest] = []

        /// What somebody else does.
        mutating func set(_ key: String, _ value: String) {
            data = data ?? [:]
            data?[key] = Data(value.utf8).base64EncodedString()
            version += 1
        }
    }

    /// What becomes of a request.
    enum Fault: Sendable {
        case none
        /// Not acted on.
        case lostBefore
        /// Acted on, without a response.
        case lostAfter
        case refused(Int, reason: String, message: String)
    }

    private let state = Mutex(State())
    /// Decides over the request with this number, from 1, and may change the Secret before it.
    private let before: @Sendable (_ number: Int, _ method: String, inout State) -> Fault

    init(before: @escaping @Sendable (_ number: Int, _ method: String, inout State) -> Fault = { _, _, _ in .none }) {
        self.before = before
    }

    func store() throws -> KubernetesSecretStore {
        KubernetesSecretStore(
            try KubernetesSecretClient(
                service: ServiceURL("https://10.0.0.1"), namespace: "tunnels", name: "mcp-tunnel",
                credential: .token(Secret("the-token-of-the-account")), transport: self))
    }

    func change(_ body: (inout State) -> Void) { state.withLock { body(&$0) } }

    /// All values as text; `nil` if there is no Secret.
    var values: [String: String]? {
        state.withLock { $0.data }?.mapValues { String(decoding: Data(base64Encoded: $0) ?? Data(), as: UTF8.self) }
    }
    var labels: [String: String] { state.withLock { $0.labels } }
    var methods: [String] { state.withLock { $0.requests.map(\.method) } }

    func pause(_ duration: Duration) async {}

    func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
        let (fault, response) = state.withLock { state in
            state.requests.append(request)
            let fault = before(state.requests.count, request.method, &state)
            switch fault {
            case .none, .lostAfter: return (fault, Self.act(request, on: &state))
            case .lostBefore: return (fault, Self.refusal(500, "", ""))
            case .refused(let status, let reason, let message): return (fault, Self.refusal(status, reason, message))
            }
        }
        switch fault {
        case .none, .refused: return response
        case .lostBefore, .lostAfter:
            throw TransportError(.malformed, "the connection broke", mayHaveBeenReceived: true)
        }
    }

    private struct Body: Decodable {
        struct Metadata: Decodable {
            var resourceVersion: String?
            var labels: [String: String]?
        }
        var metadata: Metadata
        var data: [String: String?]
    }

    private static func act(_ request: HTTPRequest, on state: inout State) -> HTTPResponse {
        let body = try? JSONDecoder().decode(Body.self, from: Data(request.body ?? []))
        switch (request.method, state.data) {
        case ("GET", nil), ("PATCH", nil): return refusal(404, "NotFound", "secrets mcp-tunnel not found")
        case ("POST", _?): return refusal(409, "AlreadyExists", "secrets mcp-tunnel already exists")
        case ("POST", nil):
            state.data = (body?.data ?? [:]).compactMapValues { $0 }
            state.labels = body?.metadata.labels ?? [:]
            state.version += 1
            return secret(201, state)
        case ("PATCH", let data?):
            guard let body else { return refusal(400, "BadRequest", "") }
            if state.isImmutable { return refusal(422, "Invalid", "field is immutable when `immutable` is set") }
            guard body.metadata.resourceVersion == "\(state.version)" else {
                return refusal(409, "Conflict", "the object has been modified")
            }
            state.data = data.merging(body.data.compactMapValues { $0 }) { $1 }.filter {
                body.data[$0.key] != .some(nil)
            }
            state.version += 1
            return secret(200, state)
        default: return secret(200, state)
        }
    }

    private struct Wire: Encodable {
        struct Metadata: Encodable {
            let name = "mcp-tunnel", resourceVersion: String
        }
        let kind = "Secret", metadata: Metadata, data: [String: String], immutable: Bool
    }

    private static func secret(_ status: Int, _ state: State) -> HTTPResponse {
        let wire = Wire(
            metadata: Wire.Metadata(resourceVersion: "\(state.version)"), data: state.data ?? [:],
            immutable: state.isImmutable)
        return HTTPResponse(status: status, body: Array((try? JSONEncoder().encode(wire)) ?? Data()))
    }

    private struct Status: Encodable {
        let kind = "Status", reason: String, message: String, code: Int
    }

    private static func refusal(_ status: Int, _ reason: String, _ message: String) -> HTTPResponse {
        let wire = Status(reason: reason, message: message, code: status)
        return HTTPResponse(status: status, body: Array((try? JSONEncoder().encode(wire)) ?? Data()))
    }
}
