import Dispatch
import Glibc

/// The signals as they come, in place of what they do otherwise. For the whole process, and for its life.
func signals(_ numbers: CInt...) -> AsyncStream<CInt> {
    AsyncStream { continuation in
        for number in numbers {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            // The handler keeps its source.
            source.setEventHandler { withExtendedLifetime(source) { _ = continuation.yield(number) } }
            source.activate()
        }
    }
}
