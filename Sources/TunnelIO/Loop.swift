internal import CLinux
internal import Glibc
internal import Synchronization

/// One event loop: a thread, its poll set and the tasks that run on it.
///
/// The actor exists so that the compiler proves confinement: sockets, streams and sessions are not `Sendable` and hang
/// off `reactor`, which only code on this loop can reach.
package actor Loop {
    package nonisolated let executor: LoopExecutor
    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    /// Which loop of its group this is, from 0.
    package nonisolated let index: Int
    /// Whom its resolver asks.
    nonisolated let names: NameService
    private let isStopping = Atomic<Bool>(false)
    private let poll: Poll

    /// - Throws: ``IOError`` when the kernel gives no epoll or event descriptor.
    package init(index: Int = 0, names: NameService = .shared) throws(IOError) {
        let poll = try Poll()
        (self.index, self.names) = (index, names)
        executor = LoopExecutor(wakeDescriptor: poll.wakeDescriptor)
        self.poll = poll
    }

    /// Everything on this loop that may only be touched on it.
    package private(set) lazy var reactor = Reactor(loop: self, poll: poll)

    /// Starts `body` on this loop. Tasks are created here and nowhere else, so that the executor preference, without
    /// which each resumption would bounce through the global pool, cannot be forgotten.
    package nonisolated func spawn(_ body: @escaping @Sendable (isolated Loop) async -> Void) {
        Task.detached(executorPreference: executor) { await body(self) }
    }

    /// Serves this loop on the calling thread until ``stop()``.
    package nonisolated func run() {
        executor.adoptCurrentThread()
        // One closure for the life of the loop, because each would be an allocation. The jobs that are drained in it are
        // isolated to this actor as well.
        assumeIsolated { loop in
            let reactor = loop.reactor
            while !loop.isStopping.load(ordering: .acquiring) {
                loop.executor.drain()
                reactor.endTurn()
                reactor.turn(isBusy: loop.executor.hasJobs)
            }
            reactor.endResidents()
        }
        // What the last jobs scheduled still runs, so that no continuation is dropped.
        executor.finish()
    }

    /// Makes ``run()`` return after its current turn. From any thread.
    package nonisolated func stop() {
        isStopping.store(true, ordering: .releasing)
        executor.wake()
    }
}

/// A set of loops, each on a thread of its own.
package final class LoopGroup: Sendable {
    package let loops: [Loop]
    private let threads: [SystemThread]

    /// Starts `count` loops.
    ///
    /// - Parameter count: 0 means one for each core that this process may run on.
    package init(count: Int = 0) throws(IOError) {
        let count = count > 0 ? count : LoopGroup.availableCores
        var loops: [Loop] = []
        for index in 0..<count { loops.append(try Loop(index: index)) }
        self.loops = loops
        var threads: [SystemThread] = []
        do {
            for loop in loops { threads.append(try SystemThread("loop-\(loop.index)") { loop.run() }) }
        } catch {
            for loop in loops { loop.stop() }
            for thread in threads { thread.join() }
            throw error
        }
        self.threads = threads
    }

    /// Ends every loop after its current turn and waits for the threads. Not from one of the loops.
    package func stop() {
        for loop in loops { loop.stop() }
        for thread in threads { thread.join() }
    }

    /// Ends every loop after its current turn, without waiting. From any thread, also one of the loops.
    package func abandon() {
        for loop in loops { loop.stop() }
        for thread in threads { thread.detach() }
    }

    /// Cores in this process's affinity mask.
    package static var availableCores: Int { max(1, Int(CLinux_core_count())) }
}
