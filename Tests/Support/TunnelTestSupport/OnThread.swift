internal import Glibc
internal import Synchronization
internal import TunnelIO

/// A piece of blocking work on a thread of its own, and what came of it.
package final class OnThread<Value: Sendable>: Sendable {
    private let result = Result()

    private final class Result: Sendable {
        let value = Mutex<Value?>(nil)
        let signal = ThreadSignal()
    }

    package init(_ work: @escaping @Sendable () -> Value) {
        // Without a thread there is no value, which fails the test.
        try? SystemThread("test") { [result] in
            let value = work()
            result.value.withLock { $0 = value }
            result.signal.post()
        }.detach()
    }

    /// Waits for the work to be done; `nil` when it takes 20 seconds.
    package func value() -> Value? {
        if result.signal.wait(seconds: 20) { result.signal.post() }
        return result.value.withLock { $0 }
    }
}

/// A variable that two tasks of one loop share.
package final class Box<Value> {
    package var value: Value
    package init(_ value: Value) { self.value = value }
}

/// Two objects of one loop, to be given to a task of it.
package final class Box2<A, B> {
    package let first: A
    package let second: B
    package init(_ first: A, _ second: B) { (self.first, self.second) = (first, second) }
}
