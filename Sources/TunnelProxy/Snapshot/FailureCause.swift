internal import TunnelCore

/// Why a request failed, in a byte: what an exchange notes, and the page groups by.
///
/// The raw text of each is ``id``, which is the name of the fault in the table of faults where that has it.
enum FailureCause: UInt8, CaseIterable, Sendable {
    /// It did not fail, or its client went away.
    case none
    case routeUnknown, methodRefused, pathRefused, limit, shutdown, requestMalformed, requestStalled, clientStalled
    case nameUnknown, nameTimeout, nameFailed, addressRefused
    case connectionRefused, unreachable, connectTimeout, tlsTimeout, tlsFailed
    case closed, notHTTP, silent, brokenOff, stalled, unaskedUpgrade
    // The upstream's own responses that no healthy MCP server gives.
    case hostRefused, rateLimited, serverError
    /// The host is another tunnel's.
    case misdirected

    /// The name in `/status` and in the table of faults.
    var id: String {
        switch self {
        case .none: ""
        case .routeUnknown: "route-unknown"
        case .methodRefused: "request-method-refused"
        case .pathRefused: "request-path-refused"
        case .limit: "request-limit"
        case .shutdown: "request-shutdown"
        case .requestMalformed: "request-malformed"
        case .requestStalled: "request-stalled"
        case .clientStalled: "client-stalled"
        case .nameUnknown: "upstream-name-unknown"
        case .nameTimeout: "upstream-name-timeout"
        case .nameFailed: "upstream-name-failed"
        case .addressRefused: "upstream-refused"
        case .connectionRefused: "upstream-connection-refused"
        case .unreachable: "upstream-unreachable"
        case .connectTimeout: "upstream-connect-timeout"
        case .tlsTimeout: "upstream-tls-timeout"
        case .tlsFailed: "upstream-tls-failed"
        case .closed: "upstream-closed"
        case .notHTTP: "upstream-not-http"
        case .silent: "upstream-silent"
        case .brokenOff: "upstream-broken-off"
        case .stalled: "upstream-stalled"
        case .unaskedUpgrade: "upstream-unasked-upgrade"
        case .hostRefused: "mcp-host-refused"
        case .rateLimited: "mcp-rate-limited"
        case .serverError: "mcp-server-error"
        case .misdirected: "request-misdirected"
        }
    }

    /// Of a response that came whole.
    init(status: UInt16) {
        switch status {
        case 421: self = .hostRefused
        case 429: self = .rateLimited
        case 500...: self = .serverError
        default: self = .none
        }
    }

    /// What the metrics of the route count it as; `nil` where no upstream is to blame, or it gave a whole response.
    var upstreamFailure: UpstreamFailure? {
        switch self {
        case .none, .routeUnknown, .misdirected, .methodRefused, .pathRefused, .limit, .shutdown: nil
        case .requestMalformed, .requestStalled, .clientStalled, .stalled: nil
        case .hostRefused, .rateLimited, .serverError: nil
        case .nameUnknown, .nameTimeout, .nameFailed: .dns
        case .addressRefused: .refusedAddress
        case .connectionRefused, .unreachable: .unreachable
        case .connectTimeout: .connectTimeout
        case .tlsTimeout, .tlsFailed: .tls
        case .closed: .noResponse
        case .silent: .responseTimeout
        case .notHTTP: .malformedResponse
        case .brokenOff: .brokenResponse
        case .unaskedUpgrade: .unaskedUpgrade
        }
    }
}
