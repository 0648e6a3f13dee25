internal import CLinux
internal import Glibc
internal import Synchronization

/// A thread of ours, started here and nowhere else: loops, the log's writer and blocking work.
///
/// It takes no signals but those of its own faults. Which thread a signal of the process goes to is the program's
/// business, and a library's thread that took one would keep it from whoever waits for it; a write to a closed pipe is
/// an error here, not the end of the process.
package struct SystemThread: Sendable {
    private let thread: pthread_t

    /// Starts it. Then ``join()`` or ``detach()`` is called, once.
    ///
    /// - Parameters:
    ///   - name: as `top -H` shows it, at most 15 bytes.
    ///   - niceness: 0 as the rest of the process, up to 19 to stand back behind it.
    /// - Throws: ``IOError`` when no thread can be had.
    package init(
        _ name: String, niceness: Int = 0, _ body: @escaping @Sendable () -> Void
    ) throws(IOError) {
        let start = Unmanaged.passRetained(Start(name, niceness, body))
        // The mask is inherited, so that there is no moment in which the new thread could take one.
        var (blocked, before) = (SystemThread.asynchronousSignals, sigset_t())
        pthread_sigmask(SIG_SETMASK, &blocked, &before)
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Start>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, start.toOpaque())
        pthread_sigmask(SIG_SETMASK, &before, nil)
        guard result == 0 else {
            start.release()
            throw IOError(.system(result), "pthread_create")
        }
        self.thread = thread
    }

    /// Waits until its body has returned.
    package func join() { pthread_join(thread, nil) }

    /// Lets it go away by itself.
    package func detach() { pthread_detach(thread) }

    private static var asynchronousSignals: sigset_t {
        var set = sigset_t()
        sigfillset(&set)
        // Blocked, these would end the process without a word instead of with a backtrace.
        for fault in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS] { sigdelset(&set, fault) }
        return set
    }

    private final class Start: Sendable {
        let name: String, niceness: Int, body: @Sendable () -> Void

        init(_ name: String, _ niceness: Int, _ body: @escaping @Sendable () -> Void) {
            (self.name, self.niceness, self.body) = (name, niceness, body)
        }

        func run() {
            CLinux_name_thread(name)
            // A kernel that refuses leaves it at the process's priority, which is slower for others and not wrong.
            if niceness != 0 { _ = CLinux_nice_thread(CInt(clamping: niceness)) }
            body()
        }
    }
}

/// A counting semaphore between threads. It waits by the monotonic clock.
package final class ThreadSignal: Sendable {
    // SAFETY: the semaphore lives at one address for this object's life, and sem_* are made for many threads.
    nonisolated(unsafe) private let semaphore: UnsafeMutablePointer<sem_t>

    package init() {
        semaphore = .allocate(capacity: 1)
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    package func post() { sem_post(semaphore) }

    /// Waits for a post; `false` when none came in time.
    package func wait(seconds: Int) -> Bool { wait(nanoseconds: UInt64(clamping: seconds) &* 1_000_000_000) }

    package func wait(milliseconds: Int) -> Bool { wait(nanoseconds: UInt64(clamping: milliseconds) &* 1_000_000) }

    package func wait(nanoseconds: UInt64) -> Bool {
        CLinux_sem_wait(semaphore, min(nanoseconds, 1 << 62)) == 0
    }
}

/// A mark that one thread sets once and others read.
package final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    package init() {}
    package func set() { value.store(true, ordering: .releasing) }
    package var isSet: Bool { value.load(ordering: .acquiring) }
}
