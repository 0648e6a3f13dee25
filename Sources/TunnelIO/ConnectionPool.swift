/// The connections of one loop to one place that wait for their next request.
///
/// The last one used goes out first, so that under little load the others reach their limit and are closed. What is
/// parked is watched, and goes as soon as its end is reported. Checking out asks the kernel besides, because an end
/// may have come that this turn of the loop has not looked at yet: most requests cannot be sent twice, so one that
/// goes out on a dying connection is lost. Servers that close after five seconds are common (uvicorn, Node), and some
/// say so (`Keep-Alive: timeout=5`); a request must not race with that, so the last second of it is not used, and of a
/// shorter time the second half.
///
/// A generation is a number for all by which a connection was found good: addresses allowed, CAs trusted. It rises.
/// Connections of an older one are closed when a newer one is first seen, and those that come back late are not
/// parked: they say nothing about what is parked already.
package final class ConnectionPool {
    package struct Limits: Sendable {
        /// Connections parked at once.
        package var maxParked: Int
        /// Nanoseconds; 0 parks none.
        package var idleTimeout: UInt64

        package init(maxParked: Int, idleTimeout: UInt64) {
            (self.maxParked, self.idleTimeout) = (maxParked, idleTimeout)
        }
    }

    /// How long before its server would close it a connection is no longer used.
    package static let safetyMargin: UInt64 = 1_000_000_000

    private struct Parked {
        let connection: ClientConnection
        let closesAt: UInt64
    }

    private let reactor: Reactor
    /// The longest parked in front.
    private var parked: [Parked] = []
    private var generation: UInt64 = 0
    /// When the sweep is due.
    private var sweepsAt = UInt64.max
    private lazy var sweep = Deadline(on: reactor) { [unowned self] in closeOverdue() }
    /// Made once, because a closure is an allocation.
    private lazy var ended: (ClientConnection) -> Void = { [unowned self] in remove($0) }

    package init(on reactor: Reactor) { self.reactor = reactor }

    deinit { while let last = parked.popLast() { close(last) } }

    package var count: Int { parked.count }

    /// A connection that the peer has not ended; `nil` when there is none, or when `generation` is over.
    package func checkOut(generation: UInt64) -> ClientConnection? {
        guard advance(to: generation) else { return nil }
        while let last = parked.popLast() {
            last.connection.takeUp()
            if reactor.now < last.closesAt, last.connection.isQuiet(asking: true) { return last.connection }
            last.connection.close()
        }
        return nil
    }

    /// Keeps a connection whose last response is whole, or closes it.
    ///
    /// - Parameters:
    ///   - generation: that in which it was opened or last checked out.
    ///   - keepAliveTimeout: nanoseconds after which the peer says that it will close it.
    /// - Returns: whether it is kept.
    @discardableResult
    package func park(
        _ connection: ClientConnection, generation: UInt64, limits: Limits, keepAliveTimeout: UInt64? = nil
    ) -> Bool {
        var life = limits.idleTimeout
        if let keepAliveTimeout { life = min(life, keepAliveTimeout - min(keepAliveTimeout / 2, Self.safetyMargin)) }
        // An end that has not been reported yet will be, and then it goes: no need to ask the kernel each time.
        guard advance(to: generation), life > 0, parked.count < limits.maxParked, connection.isQuiet(asking: false)
        else {
            connection.close()
            return false
        }
        let (closesAt, isBeyond) = reactor.now.addingReportingOverflow(life)
        parked.append(Parked(connection: connection, closesAt: isBeyond ? .max : closesAt))
        connection.putAside(discard: ended)
        if !sweep.isSet || closesAt < sweepsAt { sweepNext() }
        return true
    }

    /// Closes all that were parked before `generation`, at once.
    ///
    /// - Returns: `false`, and nothing is done, when a later one has been seen.
    @discardableResult
    package func advance(to generation: UInt64) -> Bool {
        if generation > self.generation {
            self.generation = generation
            closeAll()
        }
        return generation == self.generation
    }

    /// Closes all that are parked.
    package func closeAll() {
        sweep.cancel()
        while let last = parked.popLast() { close(last) }
    }

    private func remove(_ connection: ClientConnection) {
        guard let index = parked.firstIndex(where: { $0.connection === connection }) else { return }
        close(parked.remove(at: index))
    }

    private func close(_ entry: Parked) {
        entry.connection.takeUp()
        entry.connection.close()
    }

    private func closeOverdue() {
        while let index = parked.firstIndex(where: { $0.closesAt <= reactor.now }) { close(parked.remove(at: index)) }
        sweepNext()
    }

    private func sweepNext() {
        guard let next = parked.lazy.map(\.closesAt).min() else { return }
        sweepsAt = next
        sweep.set(after: next - min(next, reactor.now))
    }

    /// Reads the value of a `Keep-Alive` field (RFC 2068 §19.7.1.1): `timeout=5, max=100`.
    ///
    /// - Returns: nanoseconds; `nil` when it names no time that can be read.
    package static func keepAliveTimeout(_ value: Span<UInt8>) -> UInt64? {
        let name: StaticString = "timeout="
        var index = 0
        while index < value.count {
            // Each parameter, without the space before it.
            while index < value.count, value[index] == 0x20 || value[index] == 0x09 || value[index] == 0x2C {
                index += 1
            }
            var matched = 0
            while matched < name.utf8CodeUnitCount, index < value.count,
                value[index] | 0x20 == name.utf8Start[matched] | 0x20
            {
                (matched, index) = (matched + 1, index + 1)
            }
            if matched == name.utf8CodeUnitCount { return seconds(value, from: index) }
            while index < value.count, value[index] != 0x2C { index += 1 }
        }
        return nil
    }

    private static func seconds(_ value: Span<UInt8>, from start: Int) -> UInt64? {
        var (index, seconds) = (start, UInt64(0))
        while index < value.count, case let digit = value[index] &- 0x30, digit < 10 {
            // A year is as good as any longer time.
            seconds = min(seconds * 10 + UInt64(digit), 365 * 86_400)
            index += 1
        }
        while index < value.count, value[index] == 0x20 || value[index] == 0x09 { index += 1 }
        guard index > start, index == value.count || value[index] == 0x2C else { return nil }
        return seconds * 1_000_000_000
    }
}
