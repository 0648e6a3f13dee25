/// A cause, a result or a name that a counter is told apart by. Each such set is fixed here, so that no label can have more
/// values than these, whatever a peer sends.
package protocol MetricKind: CaseIterable, RawRepresentable, Sendable where RawValue == Int {
    /// The value of the label.
    var label: String { get }
}

/// How the opening of an upstream connection ended.
package enum DialResult: Int, MetricKind {
    case ok, dns, refusedAddress, timeout, unreachable, tls

    package var label: String {
        switch self {
        case .ok: "ok"
        case .dns: "dns"
        case .refusedAddress: "refused_address"
        case .timeout: "timeout"
        case .unreachable: "unreachable"
        case .tls: "tls"
        }
    }
}

/// Why an upstream gave no whole response.
package enum UpstreamFailure: Int, MetricKind {
    case dns, refusedAddress, connectTimeout, unreachable, tls
    /// The connection ended before a response had begun.
    case noResponse
    /// `upstream.response_header_timeout` passed.
    case responseTimeout
    case malformedResponse
    /// The response had begun and broke off.
    case brokenResponse
    /// A 101 that nobody asked for.
    case unaskedUpgrade

    package var label: String {
        switch self {
        case .dns: "dns"
        case .refusedAddress: "refused_address"
        case .connectTimeout: "connect_timeout"
        case .unreachable: "unreachable"
        case .tls: "tls"
        case .noResponse: "no_response"
        case .responseTimeout: "response_timeout"
        case .malformedResponse: "malformed_response"
        case .brokenResponse: "broken_response"
        case .unaskedUpgrade: "unasked_upgrade"
        }
    }
}

/// What came of looking a name up.
package enum LookUpResult: Int, MetricKind {
    case ok
    /// Addresses that were found before are still good enough.
    case cached
    case notFound, timeout, failed
    /// Nobody waits for it any more.
    case cancelled

    package var label: String {
        switch self {
        case .ok: "ok"
        case .cached: "cached"
        case .notFound: "not_found"
        case .timeout: "timeout"
        case .failed: "failed"
        case .cancelled: "cancelled"
        }
    }
}

/// A limit of the configuration that somebody ran into, by the name of its field without the section.
package enum LimitHit: Int, MetricKind {
    case maxRequests, maxConnections, maxPendingConnections, headSize
    case headerTimeout, bodyTimeout, sendTimeout, responseHeaderTimeout
    case rate
    /// Those of one route.
    case routeRate, routeMaxRequests

    package var label: String {
        switch self {
        case .maxRequests: "max_requests"
        case .rate: "rate"
        case .routeRate: "route_rate"
        case .routeMaxRequests: "route_max_requests"
        case .maxConnections: "max_connections"
        case .maxPendingConnections: "max_pending_connections"
        // max_header_bytes or max_headers: both are a 431.
        case .headSize: "max_header_bytes"
        case .headerTimeout: "header_timeout"
        case .bodyTimeout: "body_timeout"
        case .sendTimeout: "send_timeout"
        case .responseHeaderTimeout: "response_header_timeout"
        }
    }
}

extension HTTP2Abuse: MetricKind {
    package var label: String {
        switch self {
        case .rapidReset: "rapid_reset"
        case .causedReset: "caused_reset"
        case .refusedStream: "refused_stream"
        case .headerBlock: "header_block"
        case .emptyData: "empty_data"
        case .tinyData: "tiny_data"
        case .settings: "settings"
        case .ping: "ping"
        case .priority: "priority"
        case .windowUpdate: "window_update"
        case .ignoredFrame: "ignored_frame"
        case .controlQueue: "control_queue"
        case .heldWindow: "held_window"
        }
    }
}

/// With which code a WebSocket ended (RFC 6455 §7.1.5): the peer's, else ours; 1005 and 1006 where none was said.
package enum CloseKind: Int, MetricKind {
    case normal, goingAway, protocolError, unsupportedData, noStatus, abnormal, invalidPayload, policyViolation
    case tooBig, mandatoryExtension, internalError, serviceRestart, tryAgainLater, badGateway, other

    /// - Parameter code: `nil` for a connection that ended without a Close frame.
    package init(_ code: UInt16?) {
        guard let code else {
            self = .abnormal
            return
        }
        switch code {
        case 1000: self = .normal
        case 1001: self = .goingAway
        case 1002: self = .protocolError
        case 1003: self = .unsupportedData
        case 1005: self = .noStatus
        case 1006: self = .abnormal
        case 1007...1014:
            self = CloseKind(rawValue: CloseKind.invalidPayload.rawValue + Int(code) - 1007) ?? .other
        default: self = .other
        }
    }

    package var label: String {
        switch self {
        case .normal: "1000"
        case .goingAway: "1001"
        case .protocolError: "1002"
        case .unsupportedData: "1003"
        case .noStatus: "1005"
        case .abnormal: "1006"
        case .invalidPayload: "1007"
        case .policyViolation: "1008"
        case .tooBig: "1009"
        case .mandatoryExtension: "1010"
        case .internalError: "1011"
        case .serviceRestart: "1012"
        case .tryAgainLater: "1013"
        case .badGateway: "1014"
        case .other: "_OTHER"
        }
    }
}

/// What the far side was last seen to do.
package enum FarSideEvent: Int, MetricKind {
    case connection, ping, request

    package var label: String { "\(self)" }
}
