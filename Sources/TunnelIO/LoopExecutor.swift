internal import Glibc
internal import Synchronization

/// Runs every job of one event loop on that loop's thread.
///
/// It is the loop actor's serial executor and the task executor preference of each task on the loop at once, and it
/// says both when it runs a job. Then a task that suspends and is resumed on the loop costs one push onto `local`:
/// the runtime never sends it through the global pool.
package final class LoopExecutor: SerialExecutor, TaskExecutor, @unchecked Sendable {
    // SAFETY: `local`, `running`, `hasRemote` and `enqueues` are touched only on the loop's thread, which `enqueue` compares
    // with `thread`; `remote` is behind its mutex; the rest is atomic or never changes.
    private var local: [UnownedJob] = []
    private var running: [UnownedJob] = []
    private let remote = Mutex<[UnownedJob]>([])
    /// Whether `remote` has to be looked at: whoever finds it empty writes to the eventfd behind the job.
    private var hasRemote = true
    private let wakeDescriptor: CInt
    /// The loop's `pthread_t`; 0 before there is one.
    private let thread = Atomic<UInt>(0)

    /// Jobs queued on the loop's own thread so far; what a test counts to see that a resumption costs one.
    package private(set) var enqueues = 0

    /// - Parameter wakeDescriptor: an eventfd in the loop's poll set, written to when another thread adds a job.
    init(wakeDescriptor: CInt) {
        self.wakeDescriptor = wakeDescriptor
        local.reserveCapacity(256)
        running.reserveCapacity(256)
    }

    /// Makes the calling thread the loop's thread. Called once, first thing on it.
    func adoptCurrentThread() { thread.store(pthread_self(), ordering: .relaxed) }

    // No thread but the loop's can read its own identity here, so no order is needed.
    var isOnLoop: Bool { thread.load(ordering: .relaxed) == pthread_self() }

    package func enqueue(_ job: UnownedJob) {
        if isOnLoop {
            enqueues &+= 1
            local.append(job)
            return
        }
        let isFirst = remote.withLock { jobs in
            jobs.append(job)
            return jobs.count == 1
        }
        if isFirst { wake() }
    }

    package func enqueue(_ job: consuming ExecutorJob) { enqueue(UnownedJob(job)) }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    package func checkIsolated() { precondition(isOnLoop, "called from outside the loop's thread") }

    package func isIsolatingCurrentContext() -> Bool? { isOnLoop }

    /// Ends the poll that the loop may be in.
    func wake() {
        var one: UInt64 = 1
        // A full counter (EAGAIN) already wakes the loop; nothing else can fail on a live eventfd.
        _ = write(wakeDescriptor, &one, 8)
    }

    /// Empties the eventfd after it ended a poll.
    func clearWake() {
        var count: UInt64 = 0
        _ = read(wakeDescriptor, &count, 8)
        hasRemote = true
    }

    /// Jobs of this thread wait, so that a poll must not.
    var hasJobs: Bool { !local.isEmpty }

    /// Runs what is queued, and what that queues, up to a bound, so that sockets are looked at again in between.
    func drain() {
        if hasRemote { takeRemote() }
        let serial = asUnownedSerialExecutor(), task = asUnownedTaskExecutor()
        var rounds = 0
        while !local.isEmpty && rounds < 4 {
            swap(&local, &running)
            for index in running.indices { running[index].runSynchronously(isolatedTo: serial, taskExecutor: task) }
            running.removeAll(keepingCapacity: true)
            rounds += 1
        }
    }

    /// Runs the last jobs that are there, also those for which nobody was woken.
    func finish() {
        hasRemote = true
        drain()
    }

    private func takeRemote() {
        hasRemote = false
        remote.withLock { jobs in
            local.append(contentsOf: jobs)
            jobs.removeAll(keepingCapacity: true)
        }
    }
}
