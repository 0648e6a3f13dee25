import Synchronization
import Testing
import TunnelAPI
import TunnelCore

/// Plays answers in order, and records what it was sent and asked to wait for. Its clock stands still, except that a
/// pause or a step with `taking` moves it on.
final class ScriptedTransport: HTTPTransport {
    enum Step: Sendable {
        case response(HTTPResponse)
        case fail(TransportError)
        /// A response that comes after so many seconds.
        case late(Int64, HTTPResponse)
    }

    private struct State {
        var steps: [Step]
        var requests: [HTTPRequest] = []
        var pauses: [Duration] = []
        var now = ScriptedTransport.start
    }

    static let start = UnixTime(seconds: 1_790_000_000)
    private let state: Mutex<State>

    init(_ steps: [Step]) { state = Mutex(State(steps: steps)) }

    func send(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
        let step = state.withLock { state -> Step? in
            state.requests.append(request)
            return state.steps.isEmpty ? nil : state.steps.removeFirst()
        }
        switch step {
        case .response(let response): return response
        case .fail(let error): throw error
        case .late(let seconds, let response):
            advance(.seconds(seconds))
            return response
        case nil:
            Issue.record("one request more than the script has answers for: \(request)")
            throw TransportError(.invalidRequest, "the script is over")
        }
    }

    func pause(_ duration: Duration) async {
        state.withLock { $0.pauses.append(duration) }
        advance(duration)
    }

    func advance(_ duration: Duration) {
        state.withLock { state in
            let (seconds, attoseconds) = duration.components
            let nanoseconds = state.now.nanoseconds + attoseconds / 1_000_000_000
            state.now = UnixTime(
                seconds: state.now.seconds + seconds + nanoseconds / 1_000_000_000,
                nanoseconds: nanoseconds % 1_000_000_000)
        }
    }

    var now: UnixTime { state.withLock { $0.now } }
    var requests: [HTTPRequest] { state.withLock { $0.requests } }
    var pauses: [Duration] { state.withLock { $0.pauses } }
    /// Steps that nobody came for.
    var unplayed: Int { state.withLock { $0.steps.count } }
}

extension HTTPRequest {
    func field(_ name: String) -> String? { fields.first { $0.name.lowercased() == name.lowercased() }?.value }
    var bodyText: String? { body.map { String(decoding: $0, as: UTF8.self) } }
}
