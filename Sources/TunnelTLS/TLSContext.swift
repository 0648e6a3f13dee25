internal import COpenSSL
internal import TunnelPKI

/// Owns one `SSL_CTX *` and what its callbacks look at. Immutable once built; each connection takes its own `SSL`.
///
/// An engine holds its context, so the callbacks never outlive what they point to, also after a change of identity.
final class TLSContext: Sendable {
    // SAFETY: OpenSSL counts references atomically and locks what it caches; we change nothing after setting it up.
    nonisolated(unsafe) let pointer: OpaquePointer
    /// Protocol names in order of preference, each with its length before it (RFC 7301 §3.1). Empty: no ALPN.
    private let alpn: [UInt8]
    /// Nil: no tickets.
    private let tickets: TicketKeys?
    /// Of its scope.
    let number: Int
    /// Of a context that only chooses another one.
    let names: ServerNames?

    /// Suites for TLS 1.2: forward secret and authenticated only, as TLS 1.3 has them. The smaller AES first: it is
    /// the faster one and nobody breaks it.
    private static let suites12 =
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
        + "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
        + "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
    private static let suites13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
    /// The peer's whole chain in bytes, for a client.
    private static let maxChainBytes = 100 * 1_024

    init(
        server: Bool, versions: ClosedRange<TLSVersion>, alpn: [String], tickets: TicketKeys?, number: Int = 0,
        names: ServerNames? = nil
    ) throws(TLSError) {
        let operation = "make context"
        ERR_clear_error()
        guard let pointer = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()) else {
            throw .fromQueue(operation)
        }
        // From here on a throw runs deinit, which frees the context.
        self.pointer = pointer
        self.tickets = tickets
        (self.number, self.names) = (number, names)
        self.alpn = Self.encode(alpn)
        guard alpn.allSatisfy({ (1...255).contains($0.utf8.count) }) else {
            throw TLSError(operation: operation, detail: "an ALPN name has 1 to 255 bytes")
        }
        guard COpenSSL_CTX_set_min_version(pointer, versions.lowerBound.wireValue) == 1,
            COpenSSL_CTX_set_max_version(pointer, versions.upperBound.wireValue) == 1,
            SSL_CTX_set_cipher_list(pointer, Self.suites12) == 1,
            SSL_CTX_set_ciphersuites(pointer, Self.suites13) == 1,
            COpenSSL_CTX_set_groups(pointer, "X25519:P-256:P-384") == 1,
            COpenSSL_CTX_set_app_data(pointer, Unmanaged.passUnretained(self).toOpaque()) == 1
        else { throw .fromQueue(operation) }
        SSL_CTX_set_security_level(pointer, 2)
        SSL_CTX_set_options(
            pointer,
            COpenSSL_OP_NO_RENEGOTIATION() | COpenSSL_OP_NO_COMPRESSION() | COpenSSL_OP_CIPHER_SERVER_PREFERENCE()
                | COpenSSL_OP_PRIORITIZE_CHACHA())
        // Without automatic retries a record that carries no data ends the call, so that the engine can count those.
        COpenSSL_CTX_clear_mode(pointer, Int(SSL_MODE_AUTO_RETRY))
        COpenSSL_CTX_set_session_cache_mode(pointer, Int(SSL_SESS_CACHE_OFF))
        COpenSSL_CTX_set_max_cert_list(pointer, Self.maxChainBytes)
        SSL_CTX_set_info_callback(pointer, noteAlert)
    }

    deinit { SSL_CTX_free(pointer) }

    static func encode(_ names: [String]) -> [UInt8] {
        names.flatMap { [UInt8(truncatingIfNeeded: $0.utf8.count)] + Array($0.utf8) }
    }

    /// A server's context, with versions and protocols alone.
    convenience init(
        _ options: TLSServerOptions, tickets: TicketKeys? = nil, number: Int, names: ServerNames? = nil
    ) throws(TLSError) {
        guard options.minVersion <= options.maxVersion else {
            throw TLSError(operation: "make context", detail: "minVersion is above maxVersion")
        }
        try self.init(
            server: true, versions: options.minVersion...options.maxVersion, alpn: options.alpn, tickets: tickets,
            number: number, names: names)
    }

    /// Makes the context a server's: identity, answer to ALPN, tickets.
    ///
    /// - Parameter scope: the name that sessions are bound to besides the chain.
    func serve(as identity: TLSIdentity, scope: String?) throws(TLSError) {
        try use(identity)
        if !alpn.isEmpty { SSL_CTX_set_alpn_select_cb(pointer, chooseProtocol, nil) }
        SSL_CTX_set_cert_cb(pointer, pauseBeforeSigning, nil)
        guard try setUpTickets(areGiven: tickets != nil) else { return }
        // The chain's own: with keys that are shared, a session of another certificate ends in a full handshake all
        // the same, so whoever comes back sees the certificate that is in force.
        let context = try identity.sessionContext(scope)
        guard SSL_CTX_set_session_id_context(pointer, context, CUnsignedInt(context.count)) == 1 else {
            throw .fromQueue("use certificate")
        }
    }

    /// Makes the context one that connections begin with until their server is known. A connection keeps from it what OpenSSL
    /// copies when it is made: versions, options, modes, and how tickets are given. The callback for tickets is called by
    /// this context too, and looks at the one that was chosen.
    func serve(choosing options: TLSServerOptions) throws(TLSError) {
        SSL_CTX_set_client_hello_cb(pointer, chooseServer, nil)
        COpenSSL_CTX_set_mode(pointer, Int(SSL_MODE_NO_AUTO_CHAIN))
        _ = try setUpTickets(areGiven: options.sessionTickets)
    }

    /// - Returns: whether there are tickets.
    private func setUpTickets(areGiven: Bool) throws(TLSError) -> Bool {
        guard areGiven else {
            SSL_CTX_set_options(pointer, COpenSSL_OP_NO_TICKET())
            SSL_CTX_set_num_tickets(pointer, 0)
            return false
        }
        // One ticket after a full handshake; each resumption gives the next one (`handleTicket`).
        SSL_CTX_set_num_tickets(pointer, 1)
        SSL_CTX_set_timeout(pointer, Int(TLSServerContext.ticketLifetime.components.seconds))
        guard SSL_CTX_set_tlsext_ticket_key_evp_cb(pointer, sealOrOpenTicket) == 1 else {
            throw .fromQueue("use certificate")
        }
        return true
    }

    /// Shows that identity, or as a client has it ready for a server that asks.
    func use(_ identity: TLSIdentity) throws(TLSError) {
        let operation = "use certificate"
        ERR_clear_error()
        guard SSL_CTX_use_certificate(pointer, identity.chain[0].pointer) == 1,
            SSL_CTX_use_PrivateKey(pointer, identity.key.pointer) == 1
        else { throw .fromQueue(operation) }
        for certificate in identity.chain.dropFirst() {
            guard COpenSSL_CTX_add_chain_certificate(pointer, certificate.pointer) == 1 else {
                throw .fromQueue(operation)
            }
        }
        // The chain goes out as it stands in the file; it is never completed from a store.
        COpenSSL_CTX_set_mode(pointer, Int(SSL_MODE_NO_AUTO_CHAIN))
    }

    /// Makes the context a client's: anchors, and the protocols to offer.
    func trust(_ store: TrustStore) throws(TLSError) {
        ERR_clear_error()
        SSL_CTX_set1_cert_store(pointer, store.pointer)
        SSL_CTX_set_verify(pointer, SSL_VERIFY_PEER, nil)
        try offerProtocols()
    }

    /// Makes the context that of a client which looks at the server's certificate and does not judge it.
    func trustAnybody() throws(TLSError) {
        ERR_clear_error()
        SSL_CTX_set_verify(pointer, SSL_VERIFY_NONE, nil)
        // The level for certificates too: a weak one is to be seen, not to end the handshake.
        SSL_CTX_set_security_level(pointer, 0)
        try offerProtocols()
    }

    private func offerProtocols() throws(TLSError) {
        // This call alone returns 0 for success.
        guard alpn.isEmpty || SSL_CTX_set_alpn_protos(pointer, alpn, CUnsignedInt(alpn.count)) == 0 else {
            throw .fromQueue("offer protocols")
        }
    }

    /// +1 `SSL *`, for the only type that frees it.
    func makeConnection() throws(TLSError) -> OpaquePointer {
        ERR_clear_error()
        guard let ssl = SSL_new(pointer) else { throw .fromQueue("make connection") }
        return ssl
    }

    /// Our first protocol that is in `offered`, as a part of `offered`: its bytes live as long as the caller needs.
    fileprivate func choose(from offered: UnsafeBufferPointer<UInt8>) -> UnsafeBufferPointer<UInt8>? {
        var ours = alpn[...]
        while let size = ours.first {
            let name = ours.dropFirst().prefix(Int(size))
            ours = ours.dropFirst(1 + Int(size))
            var theirs = offered[...]
            while let size = theirs.first {
                let candidate = theirs.dropFirst().prefix(Int(size))
                if candidate.elementsEqual(name) { return UnsafeBufferPointer(rebasing: candidate) }
                theirs = theirs.dropFirst(1 + Int(size))
            }
        }
        return nil
    }

    /// What OpenSSL is to do with a ticket: -1 fail, 0 ignore it and shake hands in full, 1 resume, 2 resume and give
    /// a new one.
    ///
    /// A client of TLS 1.3 uses a ticket once (RFC 8446 §C.4), and OpenSSL gives it the next one only for 2: with 1 every
    /// second connection would pay a full handshake. A client of TLS 1.2 may keep its ticket, so it gets another one
    /// only when the key is about to go.
    fileprivate func handleTicket(
        name: UnsafeMutablePointer<UInt8>, iv: UnsafeMutablePointer<UInt8>, cipher: OpaquePointer,
        mac: OpaquePointer, isNew: Bool, isTLS13: Bool
    ) -> CInt {
        guard let tickets else { return 0 }
        if isNew { return tickets.current.seal(name: name, iv: iv, cipher: cipher, mac: mac) ? 1 : -1 }
        guard let (key, isOld) = tickets.find(name) else { return 0 }
        guard key.open(iv: iv, cipher: cipher, mac: mac) else { return -1 }
        return isOld || isTLS13 ? 2 : 1
    }

    /// The value behind a connection of ours.
    static func of(_ ssl: OpaquePointer?) -> TLSContext? {
        guard let data = COpenSSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)) else { return nil }
        // SAFETY: set in init to self; the engine that drives `ssl` holds the context, and its transport the chosen one.
        return Unmanaged<TLSContext>.fromOpaque(data).takeUnretainedValue()
    }
}

/// RFC 7301 §3.2 would have a server refuse when nothing matches. Ours goes on without ALPN: it may be a client
/// that lists only protocols of its own and speaks HTTP/1.1 all the same.
private func chooseProtocol(
    _ ssl: OpaquePointer?, _ out: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ outCount: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ count: CUnsignedInt,
    _ argument: UnsafeMutableRawPointer?
) -> CInt {
    let offered = UnsafeBufferPointer(start: offered, count: Int(count))
    guard let chosen = TLSContext.of(ssl)?.choose(from: offered) else { return SSL_TLSEXT_ERR_NOACK }
    out?.pointee = chosen.baseAddress
    outCount?.pointee = UInt8(truncatingIfNeeded: chosen.count)
    return SSL_TLSEXT_ERR_OK
}

/// OpenSSL asks here which certificate to show, once a ClientHello turns out to be no resumption; -1 stops the handshake
/// there, and the next call comes here again. Nothing but choosing parameters lies between here and the signature.
private func pauseBeforeSigning(_ ssl: OpaquePointer?, _ argument: UnsafeMutableRawPointer?) -> CInt {
    guard let transport = RecordTransport.of(SSL_get_rbio(ssl)) else { return 0 }
    guard transport.pointee.pausesBeforeSigning, !transport.pointee.maySign else { return 1 }
    // Without a key share that we take, a HelloRetryRequest follows, which is not signed (RFC 8446 §4.1.4).
    return SSL_version(ssl) == TLS1_3_VERSION && !COpenSSL_has_peer_key(ssl) ? 1 : -1
}

private func sealOrOpenTicket(
    _ ssl: OpaquePointer?, _ name: UnsafeMutablePointer<UInt8>?, _ iv: UnsafeMutablePointer<UInt8>?,
    _ cipher: OpaquePointer?, _ mac: OpaquePointer?, _ isNew: CInt
) -> CInt {
    guard let context = TLSContext.of(ssl), let name, let iv, let cipher, let mac else { return -1 }
    return context.handleTicket(
        name: name, iv: iv, cipher: cipher, mac: mac, isNew: isNew != 0, isTLS13: SSL_version(ssl) == TLS1_3_VERSION)
}

/// Remembers the last alert of either direction: one of ours is not in the error queue.
private func noteAlert(_ ssl: OpaquePointer?, _ event: CInt, _ value: CInt) {
    guard event & SSL_CB_ALERT != 0, let transport = RecordTransport.of(SSL_get_rbio(ssl)) else { return }
    // The upper byte is the level. TLS 1.2 goes on after a warning, TLS 1.3 ends whatever the level says.
    guard value >> 8 == SSL3_AL_FATAL || SSL_version(ssl) == TLS1_3_VERSION else { return }
    let code = UInt8(truncatingIfNeeded: value)
    // close_notify and user_canceled announce an orderly end (RFC 8446 §6.1).
    guard code != SSL_AD_CLOSE_NOTIFY, code != SSL_AD_USER_CANCELLED else { return }
    transport.pointee.alert = TLSAlert(value: code, isFromPeer: event & SSL_CB_WRITE == 0)
}

/// The versions of TLS that are spoken. Older ones are not offered (RFC 8996).
@nonexhaustive
public enum TLSVersion: String, Sendable, Comparable, CaseIterable {
    case tls12 = "TLS 1.2"
    case tls13 = "TLS 1.3"

    /// The number on the wire (RFC 8446 §4.1.2).
    var wireValue: CInt {
        switch self {
        case .tls12: TLS1_2_VERSION
        case .tls13: TLS1_3_VERSION
        }
    }

    public static func < (a: Self, b: Self) -> Bool { a.wireValue < b.wireValue }
}
