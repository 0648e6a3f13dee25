internal import CLinux
internal import Glibc

/// A set of loops, each on a thread of its own.
package final class LoopGroup: Sendable {
    package let loops: [Loop]
    private let threads: [LoopThread]

    /// Starts `count` loops.
    ///
    /// - Parameter count: 0 means one for each core that this process may run on.
    package init(count: Int = 0) throws(IOError) {
        let count = count > 0 ? count : LoopGroup.availableCores
        var loops: [Loop] = []
        for index in 0..<count { loops.append(try Loop(index: index)) }
        self.loops = loops
        var threads: [LoopThread] = []
        do { for loop in loops { threads.append(try LoopThread(loop)) } } catch {
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

/// A thread that serves one loop.
final class LoopThread: Sendable {
    private let thread: pthread_t

    init(_ loop: Loop) throws(IOError) {
        var thread = pthread_t()
        let context = Unmanaged.passRetained(loop)
        let result = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                let loop = Unmanaged<Loop>.fromOpaque(context).takeRetainedValue()
                CLinux_name_thread("loop-\(loop.index)")
                loop.run()
                return nil
            }, context.toOpaque())
        guard result == 0 else {
            context.release()
            throw IOError(.system(result), "pthread_create")
        }
        self.thread = thread
    }

    func join() { pthread_join(thread, nil) }

    /// Lets the thread go away by itself. Instead of ``join()``.
    func detach() { pthread_detach(thread) }
}
