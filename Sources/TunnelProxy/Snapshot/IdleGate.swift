internal import TunnelIO

/// Lets one thread wait until a counter that loops lower has reached zero.
final class IdleGate: Sendable {
    private let signal = ThreadSignal()
    private let isInterrupted = Flag()

    /// A counter may have reached zero.
    func wake() { signal.post() }

    /// Makes waits end at once, now and later.
    func interrupt() {
        isInterrupted.set()
        signal.post()
    }

    /// Waits until `isIdle`.
    ///
    /// - Parameter deadline: nanoseconds of the loops' clock.
    /// - Returns: whether it was idle in time and without interruption.
    func wait(until deadline: UInt64, ignoringInterrupt: Bool = false, isIdle: () -> Bool) -> Bool {
        while !isIdle() {
            let now = Reactor.clock()
            if now >= deadline || (isInterrupted.isSet && !ignoringInterrupt) { return false }
            _ = signal.wait(milliseconds: Int(min(UInt64(Int32.max), (deadline - now) / 1_000_000 + 1)))
        }
        return true
    }
}
