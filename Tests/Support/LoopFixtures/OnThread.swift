internal import Glibc
internal import Synchronization
internal import TunnelIO

/// A piece of blocking work on a thread of its own, and what came of it.
package final class OnThread<Value: Sendable>: Sendable {
    private let result: Result

    private final class Result: Sendable {
        let value = Mutex<Value?>(nil)
        let signal = ThreadSignal()
        let work: @Sendable () -> Value
        init(_ work: @escaping @Sendable () -> Value) { self.work = work }
    }

    package init(_ work: @escaping @Sendable () -> Value) {
        result = Result(work)
        var thread = pthread_t()
        let box = Unmanaged.passRetained(
            Job { [result] in
                let value = result.work()
                result.value.withLock { $0 = value }
                result.signal.post()
            })
        let error = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Job>.fromOpaque(context).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        if error == 0 { pthread_detach(thread) } else { box.release() }
    }

    /// Waits for the work to be done; `nil` when it takes 20 seconds.
    package func value() -> Value? {
        _ = result.signal.wait(milliseconds: 20_000)
        return result.value.withLock { $0 }
    }
}

private final class Job: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}
