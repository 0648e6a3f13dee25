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

/// Looks every millisecond whether something has become true that nobody reports; `false` after 15 seconds.
func waitUntil(_ isDone: () -> Bool) -> Bool {
    let (limit, pause) = (Reactor.clock() + 15_000_000_000, ThreadSignal())
    while !isDone() {
        if Reactor.clock() > limit { return false }
        _ = pause.wait(milliseconds: 1)
    }
    return true
}

/// The same without blocking a thread of Swift's pool, which tasks of the test itself need.
func eventually(_ isDone: () -> Bool) async -> Bool {
    let limit = Reactor.clock() + 180_000_000_000
    while !isDone() {
        if Reactor.clock() > limit { return false }
        try? await Task.sleep(for: .milliseconds(1))
    }
    return true
}
