internal import COpenSSL
internal import TunnelPKI

/// Why a TLS operation failed. For a connection it is always fatal.
public struct TLSError: Error, Sendable, CustomStringConvertible {
    /// What was being done: `handshake`, `read`, `write`, or the step of building a context.
    public let operation: String
    /// The library's reasons, for our log only.
    public let detail: String
    /// The alert that was exchanged because of it. Nil where none was: a local failure, or a peer that broke framing.
    public let alert: TLSAlert?

    init(operation: String, detail: String, alert: TLSAlert? = nil) {
        self.operation = operation
        self.detail = detail
        self.alert = alert
    }

    /// For an alert of the peer the words that operators know from other servers, else what failed and why.
    public var description: String {
        if let alert, alert.isFromPeer { return "remote error: tls: \(alert.name)" }
        return "tls \(operation): \(detail)"
    }

    /// Drains this thread's OpenSSL error queue for the reasons.
    ///
    /// A received alert is also a reason there (1000 and its number), so it is found without a callback.
    @inline(never)
    static func fromQueue(_ operation: String, alert: TLSAlert? = nil, note: String? = nil) -> TLSError {
        var alert = alert
        var reasons: [String] = note.map { [$0] } ?? []
        for reason in drainOpenSSLErrors() {
            let value = reason.library == ERR_LIB_SSL ? UInt8(exactly: reason.number - alertReasonOffset) : nil
            if let value, alert == nil { alert = TLSAlert(value: value, isFromPeer: true) }
            reasons.append(reason.data.map { "\(reason.text) (\($0))" } ?? reason.text)
        }
        let detail = reasons.isEmpty ? "no reason given" : reasons.joined(separator: "; ")
        return TLSError(operation: operation, detail: detail, alert: alert)
    }

    /// SSL_AD_REASON_OFFSET: reasons above it are alerts.
    private static let alertReasonOffset: CInt = 1_000
}
