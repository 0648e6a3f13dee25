internal import Glibc
internal import TunnelCore
internal import TunnelIO

/// What the log says of one exchange when it is over.
struct ExchangeRecord {
    /// Why an exchange ended; the raw value is the log's word.
    enum End: String {
        case complete
        /// The far side was gone before the answer was.
        case clientGone = "client_gone"
        /// The upstream broke off, or answered nonsense.
        case upstreamFailed = "upstream_failed"
        /// No route, or an address that may not be dialled.
        case refused
        case timeout
        case limit
        case shutdown
        case badRequest = "bad_request"
    }

    var started: UInt64 = 0
    var firstByte: UInt64 = 0
    var status: UInt16 = 0
    var bytesIn: UInt64 = 0
    var bytesOut: UInt64 = 0
    var end = End.complete
    var upstream: SocketAddress?
    /// What it failed of, where the step that failed knows more than `end` and `status` say.
    private(set) var cause = FailureCause.none

    /// Notes what a step failed of; of two, the first counts.
    mutating func fail(_ cause: FailureCause) { if self.cause == .none { self.cause = cause } }

    /// What it failed of in the end.
    var finalCause: FailureCause {
        switch end {
        case .clientGone: .none
        case _ where cause != .none: cause
        case .complete: FailureCause(status: status)
        case .upstreamFailed: .brokenOff
        case .refused: .routeUnknown
        case .timeout: .stalled
        case .limit: .limit
        case .shutdown: .shutdown
        case .badRequest: .requestMalformed
        }
    }

    /// Writes it as fields of the exchange's last line.
    ///
    /// - Parameter now: of the clock that `started` is of.
    func write(to line: inout LogLine, now: UInt64) {
        line.field("status", Int(status))
        switch upstream {
        case .ip(let address, let port): line.field("upstream", address, port: port)
        case let other?: line.field("upstream", "\(other)")
        case nil: break
        }
        line.field("bytes_in", bytesIn)
        line.field("bytes_out", bytesOut)
        if firstByte > 0 { line.field("ttfb_ms", nanoseconds: firstByte &- started) }
        line.field("duration_ms", nanoseconds: now &- started)
        line.field("end", end.rawValue)
    }
}

extension LeaseError {
    /// What the record says of a request that got no connection.
    var end: ExchangeRecord.End {
        switch self {
        case .refused: return .refused
        case .crowded: return .limit
        default: break
        }
        return status == 504 ? .timeout : .upstreamFailed
    }

    var cause: FailureCause {
        switch self {
        case .lookup(_, let error):
            switch error.code {
            case .nameNotFound: .nameUnknown
            case .timedOut: .nameTimeout
            default: .nameFailed
            }
        case .refused: .addressRefused
        case .dial(let error):
            switch error.error.code {
            case .timedOut: .connectTimeout
            case .system(ECONNREFUSED): .connectionRefused
            default: .unreachable
            }
        case .tls(_, let error): error.code == .timedOut ? .tlsTimeout : .tlsFailed
        case .http2(_, let error): error.code == .timedOut ? .connectTimeout : .notHTTP
        case .crowded: .limit
        }
    }
}

extension ClientStreamError {
    var cause: FailureCause { if case .malformed = self { .notHTTP } else { .closed } }
}
