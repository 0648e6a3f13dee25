internal import TunnelCore
internal import TunnelIO

/// Why a request got no connection to its upstream.
// Indirect, as all that waits for a connection has room for one in its frame.
indirect enum LeaseError: Error {
    case lookup(host: String, IOError)
    /// No address of the upstream may be dialled; this is one of them.
    case refused(IPAddress, UpstreamPolicy.Refusal)
    case dial(DialError)
    case tls(SocketAddress, IOError)
    /// Connected, and HTTP/2 did not begin.
    case http2(SocketAddress, IOError)
    /// As many requests are under way as the upstream takes at once, and none has ended in time.
    case crowded

    /// What the client reads: which hop failed, never an address.
    var body: String {
        switch self {
        case .lookup: "The upstream's name could not be resolved"
        case .refused: "The upstream's address is not allowed"
        case .dial(let error) where error.error.code == .timedOut: "The upstream did not accept a connection in time"
        case .dial: "The upstream could not be reached"
        case .tls: "The TLS handshake with the upstream failed"
        case .http2: "The upstream does not speak HTTP/2"
        case .crowded: "The upstream takes no more requests at once"
        }
    }

    var status: UInt16 {
        switch self {
        case .lookup(_, let error), .tls(_, let error), .http2(_, let error): error.code == .timedOut ? 504 : 502
        case .dial(let error): error.error.code == .timedOut ? 504 : 502
        case .refused: 502
        case .crowded: 503
        }
    }

    /// The message of the log line; operators search for these texts.
    var logMessage: String {
        switch self {
        case .lookup(let host, let error): "dial tcp: lookup \(host): \(error.reason)"
        case .refused(let address, _): UpstreamPolicy.refusal(for: address)
        case .dial(let error): error.description
        case .tls(let address, _): "dial tcp \(address): tls handshake failed"
        case .http2(let address, _): "dial tcp \(address): http2 did not begin"
        case .crowded: "no stream came free on the http2 connections of the upstream"
        }
    }

    /// What the dial that it ended is counted as.
    var dialResult: DialResult {
        switch self {
        case .lookup: .dns
        case .refused: .refusedAddress
        case .dial(let error): error.error.code == .timedOut ? .timeout : .unreachable
        case .tls: .tls
        case .http2(_, let error): error.code == .timedOut ? .timeout : .unreachable
        case .crowded: .timeout
        }
    }

    func writeFields(to line: inout LogLine) {
        switch self {
        case .refused(_, let refusal): line.field("rule", refusal.rawValue)
        case .tls(_, let error), .http2(_, let error):
            line.field("reason", error.detail.isEmpty ? error.description : error.detail)
        default: break
        }
    }
}
