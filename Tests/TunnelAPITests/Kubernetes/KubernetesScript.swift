import Synchronization
import TunnelAPI
import TunnelCore

/// Answers one request after another from a script, and records what was asked for.
final class KubernetesScript: HTTPTransport {
    enum Step: Sendable {
        case response(HTTPResponse)
        case failure(TransportError)
    }
    private struct State {
        var steps: [Step]
        var requests: [HTTPRequest] = []
        var pauses: [Duration] = []
    }
    private let state: Mutex<State>
    /// Called before each response.
    private let onRequest: @Sendable (_ number: Int) -> Void

    init(_ steps: [Step], onRequest: @escaping @Sendable (_ number: Int) -> Void = { _ in }) {
        state = Mutex(State(steps: steps))
        self.onRequest = onRequest
    }

    var requests: [HTTPRequest] { state.withLock { $0.requests } }
    var pauses: [Duration] { state.withLock { $0.pauses } }
    var isAtEnd: Bool { state.withLock { $0.steps.isEmpty } }

    func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
        let (number, step) = state.withLock { state in
            state.requests.append(request)
            return (state.requests.count, state.steps.isEmpty ? nil : state.steps.removeFirst())
        }
        onRequest(number)
        switch step {
        case .response(let response): return response
        case .failure(let error): throw error
        case nil: throw TransportError(.invalidRequest, "request \(number) is not in the script")
        }
    }

    func pause(_ duration: Duration) async { state.withLock { $0.pauses.append(duration) } }
}

extension KubernetesScript.Step {
    static func json(_ status: Int, _ body: String, _ fields: [HTTPField] = []) -> Self {
        .response(HTTPResponse(status: status, fields: fields, body: Array(body.utf8)))
    }

    /// A Secret as the API server sends it.
    static func secret(_ status: Int = 200, _ data: String = "{}", version: String = "7") -> Self {
        json(
            status,
            """
            {"kind":"Secret","apiVersion":"v1","metadata":{"name":"mcp-tunnel","namespace":"tunnels",
            "uid":"1f0e","resourceVersion":"\(version)","creationTimestamp":"2026-01-01T00:00:00Z",
            "labels":{"a":"b"},"managedFields":[{"manager":"kubectl","operation":"Update"}]},
            "data":\(data),"type":"Opaque"}
            """)
    }

    /// A `Status` object as the API server sends it.
    static func refusal(
        _ status: Int, _ reason: String, _ message: String, causes: String = "[]", _ fields: [HTTPField] = []
    ) -> Self {
        json(
            status,
            """
            {"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":\(quoted(message)),
            "reason":"\(reason)","details":{"name":"mcp-tunnel","kind":"secrets","causes":\(causes)},"code":\(status)}
            """, fields)
    }

    private static func quoted(_ text: String) -> String {
        let pairs = [("\\", "\\\\"), ("\"", "\\\""), ("\n", "\\n"), ("\u{1B}", "\\u001b")]
        return "\"\(pairs.reduce(text) { $0.replacing($1.0, with: $1.1) })\""
    }
}
