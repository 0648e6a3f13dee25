/// Ends what a task waits for, from outside, on the same loop: a lookup, a connect or a handshake.
///
/// One wait at a time is under its hand. Once cancelled it ends each later wait at once, until ``reset()``.
package final class Cancellation {
    package private(set) var isCancelled = false
    private var action: (() -> Void)?

    package init() {}

    /// Ends the wait that is under way, if any, and those to come.
    package func cancel() {
        isCancelled = true
        let action = action
        self.action = nil
        action?()
    }

    /// Makes it usable for another piece of work.
    package func reset() { (isCancelled, action) = (false, nil) }

    /// - Parameter action: ends the wait; called at most once, and at once when it is too late.
    func arm(_ action: @escaping () -> Void) {
        if isCancelled { action() } else { self.action = action }
    }

    func disarm() { action = nil }
}
