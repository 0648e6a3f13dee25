internal import COpenSSL
internal import TunnelPKI

/// What was agreed on. All of it is nil or false until the handshake is complete, but for `serverName`.
extension TLSEngine {
    /// For example `TLS 1.3`.
    public var version: TLSVersion? {
        guard isHandshakeComplete else { return nil }
        let number = SSL_version(ssl)
        return TLSVersion.allCases.first { $0.wireValue == number }
    }

    /// The suite's name in the IANA registry, for example `TLS_AES_128_GCM_SHA256`.
    public var cipher: String? {
        guard isHandshakeComplete, let cipher = SSL_get_current_cipher(ssl) else { return nil }
        return SSL_CIPHER_standard_name(cipher).map { String(cString: $0) }
    }

    /// The protocol chosen by ALPN (RFC 7301); nil where none was.
    public var alpn: String? {
        guard isHandshakeComplete else { return nil }
        var name: UnsafePointer<UInt8>?
        var count: CUnsignedInt = 0
        SSL_get0_alpn_selected(ssl, &name, &count)
        guard let name, count > 0 else { return nil }
        return String(decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
    }

    /// The group of the key exchange in OpenSSL's spelling, for example `x25519`; nil where none was exchanged, as when
    /// TLS 1.2 resumes a session.
    package var group: String? {
        guard isHandshakeComplete else { return nil }
        let number = COpenSSL_negotiated_group(ssl)
        guard number > 0, let name = SSL_group_to_name(ssl, number) else { return nil }
        return String(cString: name)
    }

    /// Whether the handshake resumed an earlier session.
    public var isResumed: Bool { isHandshakeComplete && SSL_session_reused(ssl) == 1 }

    /// The host name the client asked for (RFC 6066 §3). On a server it is the peer's claim, nothing more.
    public var serverName: String? {
        SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name).map { String(cString: $0) }
    }

    /// SHA-256 of the peer's certificate in hexadecimal, as `TLSIdentity.fingerprint`. Nil for a client that shows none.
    public var peerFingerprint: String? {
        guard isHandshakeComplete, let certificate = SSL_get0_peer_certificate(ssl) else { return nil }
        return Certificate.fingerprint(of: certificate)
    }

    /// The peer's certificate in DER. Nil for a client that shows none.
    package var peerCertificate: [UInt8]? {
        guard isHandshakeComplete, let certificate = SSL_get0_peer_certificate(ssl) else { return nil }
        return Certificate.der(of: certificate)
    }

    /// The certificates that a server showed, in DER and with its own first. Empty on a server.
    package var peerChain: [[UInt8]] {
        guard isHandshakeComplete, SSL_is_server(ssl) == 0 else { return [] }
        return (0..<COpenSSL_peer_chain_count(ssl)).compactMap { index in
            COpenSSL_peer_chain_certificate(ssl, index).map { Certificate.der(of: $0) }
        }
    }

    /// What a client needs to resume; nil until the server's ticket has come, which in TLS 1.3 is after the handshake.
    public var session: TLSClientSession? {
        guard isHandshakeComplete, SSL_is_server(ssl) == 0, let session = SSL_get1_session(ssl) else { return nil }
        let token = TLSClientSession(owning: session)
        return SSL_SESSION_is_resumable(session) == 1 ? token : nil
    }
}
