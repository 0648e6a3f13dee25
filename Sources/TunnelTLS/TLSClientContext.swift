internal import COpenSSL

/// What a client speaks.
public struct TLSClientOptions: Sendable, Equatable {
    /// Oldest version accepted.
    public var minVersion: TLSVersion
    /// Newest version offered.
    public var maxVersion: TLSVersion
    /// Protocol names to offer, the preferred one first (RFC 7301). Empty: no ALPN.
    public var alpn: [String]

    public init(minVersion: TLSVersion = .tls12, maxVersion: TLSVersion = .tls13, alpn: [String] = []) {
        self.minVersion = minVersion
        self.maxVersion = maxVersion
        self.alpn = alpn
    }
}

/// A client's half of TLS, made once and shared by every loop.
///
/// The server's chain must lead to an anchor and its certificate must name the server: the dNSName entries for a
/// host name, the iPAddress entries for an address. The subject's common name counts for nothing (RFC 9110 §4.3.4).
public final class TLSClientContext: Sendable {
    public let options: TLSClientOptions
    let context: TLSContext

    /// - Parameter identity: what the client proves itself with where a server asks for a certificate.
    /// - Throws: for an empty range of versions or an ALPN name that is not 1 to 255 bytes.
    public init(
        trust: TrustStore, options: TLSClientOptions = TLSClientOptions(), identity: TLSIdentity? = nil
    ) throws(TLSError) {
        guard options.minVersion <= options.maxVersion else {
            throw TLSError(operation: "make context", detail: "minVersion is above maxVersion")
        }
        context = try TLSContext(
            server: false, versions: options.minVersion...options.maxVersion, alpn: options.alpn, tickets: nil)
        try context.trust(trust)
        if let identity { try context.use(identity) }
        self.options = options
    }

    /// For a client that wants to see what a server shows and says nothing that matters: no certificate is verified, no
    /// name is checked.
    package init(inspecting options: TLSClientOptions) throws(TLSError) {
        context = try TLSContext(
            server: false, versions: options.minVersion...options.maxVersion, alpn: options.alpn, tickets: nil)
        try context.trustAnybody()
        self.options = options
    }

    /// Tells `ssl` whom it must meet, and the server which name is wanted (RFC 6066 §3: never for an address).
    func setName(_ name: String, of ssl: OpaquePointer) throws(TLSError) {
        let operation = "set server name"
        ERR_clear_error()
        let parameters = SSL_get0_param(ssl)
        var host = name[...]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        // C would stop reading at a NUL.
        if !host.utf8.contains(0), X509_VERIFY_PARAM_set1_ip_asc(parameters, String(host)) == 1 { return }
        ERR_clear_error()
        // A name in full may end in a dot; neither SNI nor certificates write it.
        if host.hasSuffix(".") { host = host.dropLast() }
        guard (1...253).contains(host.utf8.count), host.utf8.allSatisfy(Self.isNameByte) else {
            throw TLSError(operation: operation, detail: "not a host name or address")
        }
        X509_VERIFY_PARAM_set_hostflags(
            parameters, CUnsignedInt(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
        guard X509_VERIFY_PARAM_set1_host(parameters, String(host), 0) == 1,
            COpenSSL_set_server_name(ssl, String(host)) == 1
        else { throw .fromQueue(operation) }
    }

    /// Letters, digits, hyphen, dot, and the underscore that names inside clusters have. No asterisk: it would match
    /// a wildcard certificate by its letter.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
        default: false
        }
    }
}

/// What a client needs to resume a session with the same server: a ticket and its secret. Opaque, never logged.
public final class TLSClientSession: Sendable, CustomStringConvertible {
    // SAFETY: OpenSSL counts references atomically; a session is not changed once its ticket has come.
    nonisolated(unsafe) let pointer: OpaquePointer

    /// Takes over the caller's reference.
    init(owning pointer: OpaquePointer) { self.pointer = pointer }

    deinit { SSL_SESSION_free(pointer) }

    /// Whether both resume by one ticket. A client that should use each but once looks whether a new one came.
    package func hasSameTicket(as other: TLSClientSession) -> Bool {
        withTicket { ticket in other.withTicket { ticket.elementsEqual($0) } }
    }

    private func withTicket<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        var (bytes, count) = (nil as UnsafePointer<UInt8>?, 0)
        SSL_SESSION_get0_ticket(pointer, &bytes, &count)
        // SAFETY: they are the session's own, which lives as long as this object.
        return withExtendedLifetime(self) { body(UnsafeBufferPointer(start: bytes, count: count)) }
    }

    public var description: String { "<redacted>" }
}
