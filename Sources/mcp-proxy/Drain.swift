import Glibc
import Synchronization
import TunnelProxy

/// The proxy's shutdown on a thread of its own, so that the main thread can take a second signal meanwhile.
final class Drain: Sendable {
    private let result = Mutex<Bool?>(nil)

    init(_ server: ProxyServer) {
        let context = Unmanaged.passRetained(Job(server, self))
        var thread = pthread_t()
        let error = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let job = Unmanaged<Job>.fromOpaque(context).takeRetainedValue()
                let wasClean = job.server.stopAndWait()
                job.drain.result.withLock { $0 = wasClean }
                SignalQueue.wake()
                return nil
            }, context.toOpaque())
        if error == 0 {
            pthread_detach(thread)
        } else {
            context.release()
            let wasClean = server.stopAndWait()
            result.withLock { $0 = wasClean }
        }
    }

    var isOver: Bool { result.withLock { $0 != nil } }
    var wasClean: Bool { result.withLock { $0 ?? false } }

    private final class Job: Sendable {
        let server: ProxyServer
        let drain: Drain
        init(_ server: ProxyServer, _ drain: Drain) { (self.server, self.drain) = (server, drain) }
    }
}
