import Glibc

/// The signals that steer the process, taken one after another by the main thread.
enum SignalQueue {
    enum Event {
        /// SIGTERM or SIGINT.
        case terminate
        /// SIGHUP.
        case hangUp
        /// The process woke itself.
        case wake
    }

    private static let all = [SIGTERM, SIGINT, SIGHUP, SIGUSR1]

    /// Keeps the signals for ``next()``, in this thread and those it starts; ignores SIGPIPE, which is an error of
    /// write(2) to us.
    static func block() {
        signal(SIGPIPE, SIG_IGN)
        var set = makeSet()
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Waits for the next signal.
    static func next() -> Event {
        var set = makeSet()
        var number: CInt = 0
        while sigwait(&set, &number) != 0 {}
        switch number {
        case SIGHUP: return .hangUp
        case SIGUSR1: return .wake
        default: return .terminate
        }
    }

    /// Makes ``next()`` return `.wake`. From any thread.
    static func wake() { kill(getpid(), SIGUSR1) }

    private static func makeSet() -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for number in all { sigaddset(&set, number) }
        return set
    }
}
