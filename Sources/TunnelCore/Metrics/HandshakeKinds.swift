/// What was agreed on in an inner handshake, as a place in a table: so many as there are, and one more of each for what
/// OpenSSL may learn.
package struct HandshakeKind: Sendable {
    private static let versions = ["1.2", "1.3", "_OTHER"]
    private static let ciphers = [
        "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "_OTHER",
    ]
    private static let protocols = ["", "http/1.1", "h2", "_OTHER"]

    static let count = versions.count * ciphers.count * protocols.count * 2

    let place: Int

    init(place: Int) { self.place = place }

    /// - Parameters:
    ///   - version: ends in the number, as in `TLS 1.3`.
    ///   - cipher: the suite's name in the registry of IANA.
    ///   - alpn: the protocol chosen; `nil` where none was.
    package init(version: String, cipher: String, alpn: String?, isResumed: Bool) {
        let version = Self.versions.firstIndex { version.hasSuffix($0) } ?? Self.versions.count - 1
        let cipher = Self.ciphers.firstIndex(of: cipher) ?? Self.ciphers.count - 1
        let alpn = Self.protocols.firstIndex(of: alpn ?? "") ?? Self.protocols.count - 1
        place =
            ((version * Self.ciphers.count + cipher) * Self.protocols.count + alpn) * 2 + (isResumed ? 1 : 0)
    }

    var labels: [MetricLabel] {
        let alpn = place / 2 % Self.protocols.count, cipher = place / 2 / Self.protocols.count
        return [
            MetricLabel("version", Self.versions[cipher / Self.ciphers.count]),
            MetricLabel("cipher", Self.ciphers[cipher % Self.ciphers.count]),
            MetricLabel("alpn", Self.protocols[alpn]), MetricLabel("resumed", place % 2 == 1 ? "true" : "false"),
        ]
    }
}

/// Why an inner handshake failed: by an alert of either side, or without one.
package struct HandshakeFailure: Sendable {
    /// The alerts of RFC 8446 §6.2 and of the versions before it, by their number.
    private static let alerts: [(value: UInt8, name: String)] = [
        (0, "close_notify"), (10, "unexpected_message"), (20, "bad_record_mac"), (21, "decryption_failed"),
        (22, "record_overflow"), (30, "decompression_failure"), (40, "handshake_failure"), (41, "no_certificate"),
        (42, "bad_certificate"), (43, "unsupported_certificate"), (44, "certificate_revoked"),
        (45, "certificate_expired"), (46, "certificate_unknown"), (47, "illegal_parameter"), (48, "unknown_ca"),
        (49, "access_denied"), (50, "decode_error"), (51, "decrypt_error"), (60, "export_restriction"),
        (70, "protocol_version"), (71, "insufficient_security"), (80, "internal_error"),
        (86, "inappropriate_fallback"), (90, "user_canceled"), (100, "no_renegotiation"), (109, "missing_extension"),
        (110, "unsupported_extension"), (111, "certificate_unobtainable"), (112, "unrecognized_name"),
        (113, "bad_certificate_status_response"), (114, "bad_certificate_hash_value"),
        (115, "unknown_psk_identity"), (116, "certificate_required"), (120, "no_application_protocol"),
    ]
    private static let others = ["_OTHER", "timeout", "closed", "idle", "dropped", "websocket", "local"]

    static let count = alerts.count + others.count

    let place: Int

    init(place: Int) { self.place = place }
    private init(_ name: String) {
        place = Self.alerts.count + (Self.others.firstIndex(of: name) ?? 0)
    }

    /// - Parameter alert: its number on the wire.
    package init(alert: UInt8) {
        place = Self.alerts.firstIndex { $0.value == alert } ?? Self.alerts.count
    }

    /// `tls.handshake_timeout` passed.
    package static var timeout: HandshakeFailure { HandshakeFailure("timeout") }
    /// The far side ended the connection without a word.
    package static var closed: HandshakeFailure { HandshakeFailure("closed") }
    /// Nothing came for `websocket.idle_timeout`.
    package static var idle: HandshakeFailure { HandshakeFailure("idle") }
    /// Others came while it let us wait.
    package static var dropped: HandshakeFailure { HandshakeFailure("dropped") }
    /// The frames around it broke RFC 6455.
    package static var webSocket: HandshakeFailure { HandshakeFailure("websocket") }
    /// OpenSSL failed without an alert.
    package static var local: HandshakeFailure { HandshakeFailure("local") }

    var label: String {
        place < Self.alerts.count ? Self.alerts[place].name : Self.others[place - Self.alerts.count]
    }
}
