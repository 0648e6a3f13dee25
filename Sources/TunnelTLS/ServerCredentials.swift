internal import Synchronization

/// The identity a server shows at present, exchangeable while it runs.
///
/// A new connection takes `current` once; connections that live keep the context they began with. Tickets stay good
/// across an exchange, because all contexts share the keys.
public final class ServerCredentials: Sendable {
    public let options: TLSServerOptions
    /// The ticket keys of every context made here, for the owner's timer to rotate.
    public let ticketKeys: TicketKeys
    private let snapshot: Mutex<TLSServerContext>

    public init(identity: TLSIdentity, options: TLSServerOptions = TLSServerOptions()) throws(TLSError) {
        let ticketKeys = try TicketKeys()
        snapshot = Mutex(try TLSServerContext(identity: identity, options: options, ticketKeys: ticketKeys))
        self.options = options
        self.ticketKeys = ticketKeys
    }

    /// The context for the next connection.
    public var current: TLSServerContext { snapshot.withLock { $0 } }

    /// Shows `identity` from the next connection on. When it throws, everything stays as it was.
    public func replace(with identity: TLSIdentity) throws(TLSError) {
        let fresh = try TLSServerContext(identity: identity, options: options, ticketKeys: ticketKeys)
        // The old context may be the last reference to a big chain: freed after the lock, not under it.
        let old = snapshot.withLock { current in
            let old = current
            current = fresh
            return old
        }
        _ = consume old
    }
}
