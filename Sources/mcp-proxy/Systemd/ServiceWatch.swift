import TunnelIO
import TunnelProxy

/// The thread that looks at the loops for the service manager, and tells it that they turn.
///
/// Each look asks every loop for a sign, and only when all have given it, it is told. A loop that is hung gives none, and
/// then nothing is told any more, until it goes on or the manager ends the process. The thread does nothing else, so that
/// neither a slow disk nor a full log makes loops look hung that are not.
enum ServiceWatch {
    /// Between two lines of words, where no watchdog asks for more.
    private static let pace = Duration.seconds(10)

    /// Starts it, for the process's life; only where there is a manager to be told. A proxy whose watch cannot start is
    /// ended by the manager's watchdog, if that was asked for, so it is better not to serve at all.
    static func start(_ server: ProxyServer, for manager: ServiceManager) throws(IOError) {
        guard manager.isThere else { return }
        let pause = nanoseconds(min(manager.watchdog ?? pace, pace))
        let hasWatchdog = manager.watchdog != nil
        try SystemThread("service-watch") {
            let stopped = ThreadSignal()
            while server.state != .stopped {
                waitForLoops(of: server)
                manager.tell(server, loopsTurn: hasWatchdog)
                _ = stopped.wait(nanoseconds: pause)
            }
        }.detach()
    }

    /// Returns when each loop has got to its sign, or the proxy runs no more.
    static func waitForLoops(of server: ProxyServer) {
        // A signal of its own for each round: a sign that comes late counts for the round that asked for it.
        let turned = ThreadSignal()
        var missing = server.postFromEachLoop(turned)
        while missing > 0 {
            if turned.wait(seconds: 1) {
                missing -= 1
            } else if server.state == .stopped {
                return
            }
        }
    }

    private static func nanoseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        return UInt64(clamping: seconds) &* 1_000_000_000 &+ UInt64(clamping: attoseconds / 1_000_000_000)
    }
}
