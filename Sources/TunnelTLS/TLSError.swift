internal import COpenSSL

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

    /// Takes the reasons off this thread's error queue: an entry left behind is blamed on the next, innocent call.
    ///
    /// A received alert is also a reason there (1000 and its number), so it is found without a callback.
    @inline(never)
    static func fromQueue(_ operation: String, alert: TLSAlert? = nil, note: String? = nil) -> TLSError {
        var alert = alert
        var reasons: [String] = note.map { [$0] } ?? []
        var data: UnsafePointer<CChar>?
        var flags: CInt = 0
        while true {
            let code = ERR_get_error_all(nil, nil, nil, &data, &flags)
            guard code != 0 else { break }
            let reason = Int(ERR_GET_REASON(code))
            if ERR_GET_LIB(code) == ERR_LIB_SSL, let value = UInt8(exactly: reason - alertReasonOffset), alert == nil {
                alert = TLSAlert(value: value, isFromPeer: true)
            }
            var text = ERR_reason_error_string(code).map { String(cString: $0) } ?? "code \(code)"
            if flags & ERR_TXT_STRING != 0, let data, data.pointee != 0 { text += " (\(String(cString: data)))" }
            reasons.append(text)
        }
        let detail = reasons.isEmpty ? "no reason given" : reasons.joined(separator: "; ")
        return TLSError(operation: operation, detail: detail, alert: alert)
    }

    /// SSL_AD_REASON_OFFSET: reasons above it are alerts.
    private static let alertReasonOffset = 1_000
}
