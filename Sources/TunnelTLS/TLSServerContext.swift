/// What a server speaks.
public struct TLSServerOptions: Sendable {
    /// Oldest version accepted.
    public var minVersion: TLSVersion
    /// Newest version accepted.
    public var maxVersion: TLSVersion
    /// Protocol names in our order of preference (RFC 7301). Where the client offers none of them, the handshake
    /// goes on without ALPN. Empty: never answered.
    public var alpn: [String]
    /// Whether clients get a ticket to resume with (RFC 8446 §4.6.1).
    public var sessionTickets: Bool

    public init(
        minVersion: TLSVersion = .tls12, maxVersion: TLSVersion = .tls13, alpn: [String] = [],
        sessionTickets: Bool = true
    ) {
        self.minVersion = minVersion
        self.maxVersion = maxVersion
        self.alpn = alpn
        self.sessionTickets = sessionTickets
    }
}

/// A server's half of TLS, made once and shared by every loop: identity, versions, protocols, tickets.
///
/// Fixed whatever the options: suites with forward secrecy and authenticated encryption, X25519, P-256 and P-384, no
/// renegotiation, no compression, no early data, no client certificates.
public final class TLSServerContext: Sendable {
    /// How long a ticket may be used, in seconds. Shorter when the keys rotate sooner.
    public static let ticketLifetime: Int64 = 7_200

    public let identity: TLSIdentity
    public let options: TLSServerOptions
    let context: TLSContext

    /// Whether a full handshake takes long enough to hold up an event loop: then its engines pause before they sign.
    public var isSigningExpensive: Bool { identity.isSigningExpensive }

    /// - Parameter ticketKeys: the keys shared with the server's other contexts. Nil: a key of its own, never rotated.
    ///   Unused without `sessionTickets`.
    /// - Throws: for an empty range of versions, an ALPN name that is not 1 to 255 bytes, or an identity that
    ///   OpenSSL finds too weak (RSA under 2,048 bits).
    public init(
        identity: TLSIdentity, options: TLSServerOptions = TLSServerOptions(), ticketKeys: TicketKeys? = nil
    ) throws(TLSError) {
        guard options.minVersion <= options.maxVersion else {
            throw TLSError(operation: "make context", detail: "minVersion is above maxVersion")
        }
        var tickets: TicketKeys?
        if options.sessionTickets {
            if let ticketKeys { tickets = ticketKeys } else { tickets = try TicketKeys() }
        }
        context = try TLSContext(
            server: true, versions: options.minVersion...options.maxVersion, alpn: options.alpn, tickets: tickets)
        try context.serve(as: identity)
        self.identity = identity
        self.options = options
    }
}
