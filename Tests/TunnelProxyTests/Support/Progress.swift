import Glibc
import Synchronization
import TunnelIO

/// A number that another thread raises, until it is held up.
final class Progress: Sendable {
    private let count = Mutex(0)
    private let signal = ThreadSignal()

    func add(_ more: Int) {
        count.withLock { $0 += more }
        signal.post()
    }

    /// Waits until nothing was added for half a second; what there is then.
    func standstill() -> Int {
        while signal.wait(milliseconds: 500) {}
        return count.withLock { $0 }
    }
}
