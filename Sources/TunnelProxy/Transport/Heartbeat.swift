/// When to ping a far side, and when its silence means that it has gone. A value: the clock is the caller's, in
/// nanoseconds.
struct Heartbeat {
    enum Action: Equatable { case ping, giveUp }

    /// Between pings; 0 for none.
    let pingInterval: UInt64
    /// Without a byte until the far side is given up; 0 for never.
    let idleTimeout: UInt64
    private var lastArrival: UInt64
    private var lastPing: UInt64

    init(pingInterval: UInt64, idleTimeout: UInt64, now: UInt64) {
        (self.pingInterval, self.idleTimeout) = (pingInterval, idleTimeout)
        (lastArrival, lastPing) = (now, now)
    }

    /// Bytes came, or nobody was looking for them: while reading is paused, silence says nothing about the far side.
    mutating func arrived(at now: UInt64) { lastArrival = now }

    /// How long until ``beat(at:)`` is due; `nil` for never.
    func next(at now: UInt64) -> UInt64? {
        var due = UInt64.max
        if pingInterval > 0 { due = lastPing &+ pingInterval }
        if idleTimeout > 0 { due = min(due, lastArrival &+ idleTimeout) }
        guard due < .max else { return nil }
        return due > now ? due - now : 1
    }

    /// What is to be done now, if anything.
    mutating func beat(at now: UInt64) -> Action? {
        if idleTimeout > 0 && now &- lastArrival >= idleTimeout { return .giveUp }
        guard pingInterval > 0 && now &- lastPing >= pingInterval else { return nil }
        lastPing = now
        return .ping
    }
}
