/// Lets the owner of an operation give it up while a task waits in it, for objects of one loop.
///
/// Whatever waits sets ``handler`` to what ends its wait, and clears it afterwards.
package final class Cancellation {
    package private(set) var isCancelled = false
    var handler: (() -> Void)?

    package init() {}

    /// Ends what waits now; later operations fail at once.
    package func cancel() {
        isCancelled = true
        handler?()
        handler = nil
    }

    /// Makes it usable for the next operation.
    package func reset() {
        isCancelled = false
        handler = nil
    }
}
