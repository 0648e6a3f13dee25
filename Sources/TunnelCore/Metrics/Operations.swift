/// The method of an operation of MCP, as the field `Mcp-Method` names it.
package struct OperationMethod: Sendable, Equatable {
    /// Those that a client may send in version 2026-07-28 of the specification; whatever else is `_OTHER`.
    private static let names: [StaticString] = [
        "server/discover", "tools/list", "tools/call", "resources/list", "resources/templates/list", "resources/read",
        "prompts/list", "prompts/get", "completion/complete", "subscriptions/listen", "notifications/cancelled",
    ]
    static let count = names.count + 1
    static let toolCall = 2

    let place: Int

    init(place: Int) { self.place = place }

    package init(_ name: Span<UInt8>) {
        place = Self.names.firstIndex { name.matches(0..<name.count, $0) } ?? Self.names.count
    }

    /// Whether `Mcp-Name` is the name of a tool.
    package var isToolCall: Bool { place == Self.toolCall }

    var label: String { place < Self.names.count ? "\(Self.names[place])" : "_OTHER" }
}

/// What became of an operation: nothing to complain of, a status, or the word by which the access record ends.
package enum OperationError: Int, MetricKind {
    case none, clientError, serverError
    case clientGone, upstreamFailed, refused, timeout, limit, shutdown, badRequest

    package var label: String {
        switch self {
        case .none: ""
        case .clientError: "4xx"
        case .serverError: "5xx"
        case .clientGone: "client_gone"
        case .upstreamFailed: "upstream_failed"
        case .refused: "refused"
        case .timeout: "timeout"
        case .limit: "limit"
        case .shutdown: "shutdown"
        case .badRequest: "bad_request"
        }
    }
}
