internal import Glibc
internal import Synchronization

/// Threads for calls that may block for long: name resolution, key generation, files.
///
/// Threads start when there is work and end after a minute without. The queue is bounded, so that a dead name server
/// cannot make it grow: past the bound work is refused at once.
package final class BlockingPool: Sendable {
    package static let shared = BlockingPool(threads: 4, queued: 1024)

    private struct State {
        var work: [@Sendable () -> Void] = []
        var idle = 0
        var running = 0
    }
    private let state = Mutex(State())
    private let maxThreads: Int
    private let maxQueued: Int
    private let signal = ThreadSignal()

    package init(threads: Int, queued: Int) {
        maxThreads = threads
        maxQueued = queued
    }

    /// Runs `work` on one of the threads.
    ///
    /// - Returns: `false`, and `work` will not run, when too much waits already.
    package func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
        enum Next { case refused, wakeOne, startOne, wait }
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
        case .refused: return false
        case .wakeOne: signal.post()
        case .startOne: if !startThread() { return false }
        case .wait: break
        }
        return true
    }

    private func startThread() -> Bool {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let result = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<BlockingPool>.fromOpaque(context).takeRetainedValue().serve()
                return nil
            }, context.toOpaque())
        if result == 0 {
            pthread_detach(thread)
            return true
        }
        context.release()
        return state.withLock { state in
            state.running -= 1
            // Another thread will come to it; with none there is nobody.
            if state.running > 0 { return true }
            _ = state.work.popLast()
            return false
        }
    }

    private func serve() {
        while true {
            let work: (@Sendable () -> Void)? = state.withLock { state in
                if !state.work.isEmpty { return state.work.removeFirst() }
                state.idle += 1
                return nil
            }
            if let work {
                work()
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
