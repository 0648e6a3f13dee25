internal import Synchronization

/// Threads for calls that may block for long, in one pool for each kind of work.
///
/// The kinds are apart because each has its own way to be slow: a dead name server holds its threads for seconds, a
/// storm of handshakes fills a queue with signatures, a drain waits for minutes. In one pool any of them would stop
/// the others; the new certificate was once taken a quarter of a minute late because four names did not resolve.
///
/// Threads start when there is work and end after a minute without. The queue is bounded: past the bound work is
/// refused at once, so that whoever has too much of it hears so instead of memory growing.
package final class BlockingPool: Sendable {
    /// Certificates, keys and settings from disk.
    package static let files = BlockingPool("files", threads: 2, queued: 1024)
    /// What costs a core: the signature of a TLS handshake, a new key. One thread for each core, behind the loops, so
    /// that a storm of handshakes takes the time that live streams leave. A little lower is enough: a loop that wakes goes
    /// before who has computed for long, and further down other programs would take the signers' time. First come, first served.
    package static let signatures = BlockingPool(
        "signatures", threads: LoopGroup.availableCores, queued: 1024, niceness: 1)
    /// Draining, which waits for minutes.
    package static let shutdown = BlockingPool("shutdown", threads: 16, queued: 1024)

    /// A piece of work that waits for its thread, for whoever may lose interest in it.
    package final class Work: Sendable {
        private let pool: BlockingPool
        fileprivate let body: Mutex<(@Sendable () -> Void)?>

        fileprivate init(_ body: @escaping @Sendable () -> Void, in pool: BlockingPool) {
            self.pool = pool
            self.body = Mutex(body)
        }

        /// Drops it, and what it holds, unless it has begun. Its place in the queue is free at once.
        ///
        /// - Returns: whether it will not run.
        @discardableResult
        package func cancel() -> Bool {
            guard take() != nil else { return false }
            pool.state.withLock { state in state.work.removeAll { $0 === self } }
            return true
        }

        fileprivate func take() -> (@Sendable () -> Void)? {
            body.withLock { body in
                defer { body = nil }
                return body
            }
        }
    }

    private struct State {
        var work: [Work] = []
        var idle = 0
        var running = 0
    }
    private let state = Mutex(State())
    private let name: String
    private let maxThreads: Int
    private let maxQueued: Int
    private let niceness: Int
    private let signal = ThreadSignal()

    /// - Parameters:
    ///   - name: of its threads.
    ///   - queued: pieces of work that may wait for a thread.
    ///   - niceness: see ``SystemThread``.
    package init(_ name: String = "work", threads: Int, queued: Int, niceness: Int = 0) {
        (self.name, self.niceness) = (name, niceness)
        (maxThreads, maxQueued) = (threads, queued)
    }

    /// Runs `body` on one of the threads.
    ///
    /// - Returns: `false`, and `body` will not run, when too much waits already.
    package func submit(_ body: @escaping @Sendable () -> Void) -> Bool { enqueue(body) != nil }

    /// The same, for work that can be cancelled while it waits; `nil` when too much waits already.
    package func enqueue(_ body: @escaping @Sendable () -> Void) -> Work? {
        enum Next { case refused, wakeOne, startOne, wait }
        let work = Work(body, in: self)
        let next: Next = state.withLock { state in
            guard state.work.count < maxQueued else { return .refused }
            state.work.append(work)
            if state.idle >= state.work.count { return .wakeOne }
            if state.running < maxThreads {
                state.running += 1
                return .startOne
            }
            return .wait
        }
        switch next {
        case .refused: return nil
        case .wakeOne: signal.post()
        case .startOne: if !startThread() { return abandon(work) ? nil : work }
        case .wait: break
        }
        return work
    }

    private func startThread() -> Bool {
        do {
            try SystemThread(name, niceness: niceness) { [self] in serve() }.detach()
            return true
        } catch { return false }
    }

    /// Without a new thread, one that is there will come to the work; with none it is taken back.
    private func abandon(_ work: Work) -> Bool {
        let isAlone = state.withLock { state in
            state.running -= 1
            return state.running == 0
        }
        return isAlone && work.cancel()
    }

    private func serve() {
        while true {
            let work: Work? = state.withLock { state in
                if !state.work.isEmpty { return state.work.removeFirst() }
                state.idle += 1
                return nil
            }
            if let work {
                work.take()?()
                continue
            }
            let wasPosted = signal.wait(seconds: 60)
            let isDone = state.withLock { state in
                state.idle -= 1
                guard !wasPosted && state.work.isEmpty else { return false }
                state.running -= 1
                return true
            }
            if isDone { return }
        }
    }
}
