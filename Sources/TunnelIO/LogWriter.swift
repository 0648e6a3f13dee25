internal import Glibc
internal import Synchronization
internal import TunnelCore

/// Writes log lines to a descriptor on a thread of its own, so that a slow or closed sink never holds up a loop.
///
/// Lines wait in a bounded queue. When it is full, lines are dropped and counted, and the count is reported in a line of
/// its own as soon as there is room again.
package final class LogWriter: LogSink {
    /// Some 5,000 lines.
    private static let maxQueued = 1 << 20
    /// How long the thread gathers lines while there is traffic; one wake-up then serves many.
    private static let gatherMilliseconds = 3

    private struct State: ~Copyable {
        var queued = ByteBuffer()
        var dropped = 0
        var isIdle = false
        var isStopping = false
    }
    private let state = Mutex(State())
    private let signal = ThreadSignal()
    private let finished = ThreadSignal()
    private let descriptor: CInt
    private let droppedLine: @Sendable (Int) -> [UInt8]

    /// - Parameters:
    ///   - descriptor: where lines go; not closed by this object.
    ///   - droppedLine: makes the line that says how many were dropped.
    /// - Throws: ``IOError`` when no thread can be started.
    package init(descriptor: CInt, droppedLine: @escaping @Sendable (Int) -> [UInt8]) throws(IOError) {
        self.descriptor = descriptor
        self.droppedLine = droppedLine
        try SystemThread("log") { [self] in serve() }.detach()
    }

    /// Queues one line, its newline included. Never waits for the sink.
    package func write(_ line: Span<UInt8>) {
        let mustWake = state.withLock { state in
            if state.queued.count + line.count > LogWriter.maxQueued {
                state.dropped += 1
                return false
            }
            state.queued.append(line)
            defer { state.isIdle = false }
            return state.isIdle
        }
        if mustWake { signal.post() }
    }

    /// Writes out what is queued and ends the thread, for the end of the process.
    ///
    /// - Returns: `false` when the sink did not take it all in time.
    @discardableResult
    package func finish(milliseconds: Int = 1000) -> Bool {
        state.withLock { $0.isStopping = true }
        signal.post()
        return finished.wait(milliseconds: milliseconds)
    }

    private func serve() {
        var batch = ByteBuffer()
        while true {
            let (isStopping, dropped) = state.withLock { state in
                swap(&state.queued, &batch)
                let dropped = state.dropped
                state.dropped = 0
                state.isIdle = batch.isEmpty && dropped == 0 && !state.isStopping
                return (state.isStopping, dropped)
            }
            if dropped > 0 { batch.append(droppedLine(dropped)) }
            if batch.isEmpty {
                if isStopping { break }
                _ = signal.wait(seconds: 3600)
            } else {
                batch.withMutableBytes { writeAll(UnsafeRawBufferPointer($0)) }
                batch.removeAll()
                if batch.capacity > 1 << 16 { batch.release() }
                if !isStopping { _ = signal.wait(milliseconds: LogWriter.gatherMilliseconds) }
            }
        }
        finished.post()
    }

    private func writeAll(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest)
            let count = Glibc.write(descriptor, part.baseAddress, part.count)
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0 && errno == EAGAIN {
                // Somebody made our stderr non-blocking: wait for it here, where nobody is held up.
                var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = Glibc.poll(&poll, 1, 1000)
            } else if count < 0 && errno == EINTR {
                continue
            } else {
                return
            }
        }
    }
}
