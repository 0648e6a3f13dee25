internal import Synchronization

/// What a server speaks.
public struct TLSServerOptions: Sendable, Equatable {
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
    /// How long a ticket may be used. Shorter when the keys rotate sooner.
    public static let ticketLifetime = Duration.seconds(7_200)

    public let identity: TLSIdentity
    public let options: TLSServerOptions
    /// `nil` for the only server behind its listener.
    public let scope: TLSServerScope?
    let context: TLSContext

    /// Whether a full handshake takes long enough to hold up an event loop: then its engines pause before they sign.
    public var isSigningExpensive: Bool { identity.isSigningExpensive }

    /// - Parameter ticketKeys: the keys shared with the server's other contexts. Nil: a key of its own, never rotated.
    ///   Whatever is shared, a session is resumed under the chain that it was made with and under no other.
    ///   Unused without `sessionTickets`.
    /// - Parameter scope: which of several servers it belongs to.
    /// - Throws: for an empty range of versions, an ALPN name that is not 1 to 255 bytes, or an identity that
    ///   OpenSSL finds too weak (RSA under 2,048 bits).
    public init(
        identity: TLSIdentity, options: TLSServerOptions = TLSServerOptions(), ticketKeys: TicketKeys? = nil,
        scope: TLSServerScope? = nil
    ) throws(TLSError) {
        var tickets: TicketKeys?
        if options.sessionTickets {
            if let ticketKeys { tickets = ticketKeys } else { tickets = try TicketKeys() }
        }
        context = try TLSContext(options, tickets: tickets, number: scope?.number ?? 0)
        try context.serve(as: identity, scope: scope?.name)
        self.identity = identity
        (self.options, self.scope) = (options, scope)
    }
}

/// The identity a server shows at present, exchangeable while it runs.
///
/// A new connection takes `current` once; connections that live keep the context they began with. Session tickets are
/// good for as long as the chain stays the same: another one comes with ticket keys of its own, so that no client goes on
/// by what an earlier certificate, or a CA that is no longer trusted, once said. Keys that several servers share stay, and
/// the sessions of another chain end in a full handshake all the same.
public final class ServerCredentials: Sendable {
    private struct InForce {
        let context: TLSServerContext
        let ticketKeys: TicketKeys
    }

    public let options: TLSServerOptions
    /// `nil` for the only server behind its listener.
    public let scope: TLSServerScope?
    private let snapshot: Mutex<InForce>

    /// - Parameter scope: which of several servers they are of.
    public init(
        identity: TLSIdentity, options: TLSServerOptions = TLSServerOptions(), scope: TLSServerScope? = nil
    ) throws(TLSError) {
        let ticketKeys = try TicketKeys()
        let context = try TLSServerContext(
            identity: identity, options: options, ticketKeys: ticketKeys, scope: scope)
        snapshot = Mutex(InForce(context: context, ticketKeys: ticketKeys))
        (self.options, self.scope) = (options, scope)
    }

    /// The context for the next connection.
    public var current: TLSServerContext { snapshot.withLock { $0.context } }

    /// The ticket keys of the context in force, for the owner's timer to rotate. Ask for them each time: they change with
    /// the chain.
    public var ticketKeys: TicketKeys { snapshot.withLock { $0.ticketKeys } }

    /// Shows `identity` from the next connection on. When it throws, everything stays as it was.
    ///
    /// Tickets that were given out stay good if the chain is the one in force, and only then.
    public func replace(with identity: TLSIdentity) throws(TLSError) {
        let inForce = snapshot.withLock { $0 }
        let isSame = identity.chainDigest == inForce.context.identity.chainDigest
        let keepsKeys = isSame || inForce.ticketKeys.areShared
        let ticketKeys = keepsKeys ? inForce.ticketKeys : try TicketKeys()
        let context = try TLSServerContext(
            identity: identity, options: options, ticketKeys: ticketKeys, scope: scope)
        // The old context may be the last reference to a big chain: freed after the lock, not under it.
        let old = snapshot.withLock { current in
            let old = current
            current = InForce(context: context, ticketKeys: ticketKeys)
            return old
        }
        _ = consume old
    }
}
