internal import Synchronization

/// The keys that seal session tickets (RFC 5077, RFC 8446 §4.6.1): stateless resumption, nothing kept per client.
///
/// Share one value among all contexts of a server, so that a ticket of one loop, or from before a change of
/// certificate, is good at every other. Tickets are sealed with the current key; those of the previous key are still
/// opened, and replaced. Older ones cost the client a full handshake, nothing else. Keys are random, leave memory
/// wiped, and have no textual form.
public final class TicketKeys: Sendable, CustomStringConvertible {
    private struct Keys {
        var current: TicketKey
        var previous: TicketKey?
        /// When `current` was made, on the caller's clock; nil until the caller first tells the time.
        var since: Int64?
    }
    private let keys: Mutex<Keys>

    /// Makes a first key.
    public init() throws(TLSError) {
        keys = Mutex(Keys(current: try TicketKey(), previous: nil, since: nil))
    }

    /// Makes a new current key. The current one becomes the previous one, and the previous one is gone.
    public func rotate() throws(TLSError) {
        let fresh = try TicketKey()
        keys.withLock { keys in (keys.previous, keys.current) = (keys.current, fresh) }
    }

    /// Rotates when the current key is `interval` old. The first call only notes the time.
    ///
    /// - Parameter now: seconds on any clock that does not jump back.
    /// - Parameter interval: in seconds. A ticket is good for one to two intervals, at most for
    ///   `TLSServerContext.ticketLifetime`.
    /// - Returns: whether a new key was made.
    @discardableResult
    public func rotateIfDue(now: Int64, every interval: Int64) throws(TLSError) -> Bool {
        let isDue = keys.withLock { keys in
            guard let since = keys.since else {
                keys.since = now
                return false
            }
            let (age, overflow) = now.subtractingReportingOverflow(since)
            guard overflow || age >= interval else { return false }
            keys.since = now
            return true
        }
        if isDue { try rotate() }
        return isDue
    }

    /// The key for new tickets.
    var current: TicketKey { keys.withLock { $0.current } }

    /// The key whose name a ticket carries, and whether the ticket should be replaced by one of the current key.
    func find(_ name: UnsafePointer<UInt8>) -> (key: TicketKey, isOld: Bool)? {
        let (current, previous) = keys.withLock { ($0.current, $0.previous) }
        if current.isNamed(name) { return (current, false) }
        if let previous, previous.isNamed(name) { return (previous, true) }
        return nil
    }

    public var description: String { "<redacted>" }
}
