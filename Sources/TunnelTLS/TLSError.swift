internal import COpenSSL
internal import TunnelPKI

/// Why a TLS operation failed. For a connection it is always fatal.
public struct TLSError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was being done: `handshake`, `read`, `write`, or the step of building a context.
    public let operation: String
    /// The library's reasons, for our own log only: a peer could learn from them.
    public let reason: String
    /// The alert that was exchanged because of it. Nil where none was: a local failure, or a peer that broke framing.
    public let alert: TLSAlert?

    init(operation: String, detail: String, alert: TLSAlert? = nil) {
        self.operation = operation
        reason = detail
        self.alert = alert
    }

    /// For an alert of the peer the words that operators know from other servers, else what failed and why.
    public var description: String {
        if let alert, alert.isFromPeer { return "remote error: tls: \(alert.name)" }
        return "tls \(operation): \(reason)"
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

/// A TLS alert that ended a connection (RFC 8446 §6).
public struct TLSAlert: Sendable, Hashable, CustomStringConvertible {
    /// The description byte on the wire.
    public let value: UInt8
    /// Whether the peer sent it. Otherwise we did.
    public let isFromPeer: Bool

    public init(value: UInt8, isFromPeer: Bool) {
        self.value = value
        self.isFromPeer = isFromPeer
    }

    /// The RFC's word for it with spaces for underscores; `unknown_ca` is spelled out, as operators look for it.
    public var name: String {
        switch value {
        case 0: "close notify"
        case 10: "unexpected message"
        case 20: "bad record mac"
        case 21: "decryption failed"
        case 22: "record overflow"
        case 30: "decompression failure"
        case 40: "handshake failure"
        case 41: "no certificate"
        case 42: "bad certificate"
        case 43: "unsupported certificate"
        case 44: "certificate revoked"
        case 45: "certificate expired"
        case 46: "certificate unknown"
        case 47: "illegal parameter"
        case 48: "unknown certificate authority"
        case 49: "access denied"
        case 50: "decode error"
        case 51: "decrypt error"
        case 60: "export restriction"
        case 70: "protocol version"
        case 71: "insufficient security"
        case 80: "internal error"
        case 86: "inappropriate fallback"
        case 90: "user canceled"
        case 100: "no renegotiation"
        case 109: "missing extension"
        case 110: "unsupported extension"
        case 111: "certificate unobtainable"
        case 112: "unrecognized name"
        case 113: "bad certificate status response"
        case 114: "bad certificate hash value"
        case 115: "unknown psk identity"
        case 116: "certificate required"
        case 120: "no application protocol"
        default: "alert \(value)"
        }
    }

    public var description: String { name }
}
