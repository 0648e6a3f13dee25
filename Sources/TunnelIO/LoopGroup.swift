internal import CLinux

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
