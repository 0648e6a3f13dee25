/// Why a request got no answer: what failed, at which stage, and whether the server may have seen all of the request.
///
/// Its texts hold hosts, ports, numbers and the names of rules; never a field, a body or what a peer has sent.
package struct HTTPClientError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: Sendable {
        /// The request cannot be put on the wire as it is.
        case invalidRequest
        /// The host's name has no address, or the name server did not say.
        case nameNotFound
        /// No connection could be opened.
        case connect
        /// The proxy cannot be reached, refused, or does not speak HTTP/1.1.
        case proxy
        /// The handshake failed, or a record could not be read.
        case tls
        /// The deadline for all of it has passed.
        case timedOut
        /// The connection ended before the answer did.
        case closed
        /// The answer is not HTTP/1.1 as it should be.
        case malformed
        /// The answer's body is longer than the caller allows.
        case tooLarge
    }

    /// How far it came, in order.
    package enum Stage: Sendable {
        case request, lookup, connect, proxy, handshake, send, answer

        /// What was being done, to be followed by the host.
        fileprivate var text: String {
            switch self {
            case .request: "request to"
            case .lookup: "look up"
            case .connect: "connect to"
            case .proxy: "CONNECT through"
            case .handshake: "TLS handshake with"
            case .send: "send the request to"
            case .answer: "read the answer of"
            }
        }
    }

    package let code: Code
    package let stage: Stage
    /// Whom it was done to, and what went wrong.
    package let reason: String
    /// The request's last byte may have left, so the server may have acted on it.
    package let mayHaveBeenReceived: Bool

    package init(
        _ code: Code, _ stage: Stage, _ peer: String, _ problem: String, mayHaveBeenReceived: Bool = false
    ) {
        (self.code, self.stage, self.mayHaveBeenReceived) = (code, stage, mayHaveBeenReceived)
        reason = "\(stage.text) \(peer): \(problem)"
    }

    /// For example `connect to api.example.com:443: connection refused`.
    package var description: String { reason }

    /// The reason is prose.
    package static func == (a: Self, b: Self) -> Bool {
        a.code == b.code && a.stage == b.stage && a.mayHaveBeenReceived == b.mayHaveBeenReceived
    }
}
