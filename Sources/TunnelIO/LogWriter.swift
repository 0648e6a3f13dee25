internal import Glibc
internal import Synchronization
package import TunnelCore

/// Writes log lines to a descriptor on a thread of its own, so that a slow or closed sink never holds up a loop.
///
/// Lines wait in bounded queues, one for each loop and one for all other threads: loops that shared one would wait for its
/// lock, and for each other's cache lines, with every request. The thread puts the lines in the order of their times. When a
/// queue is full, lines are dropped and counted, and the count is reported in a line of its own as soon as there is room.
package final class LogWriter: LogSink {
    /// How long the thread gathers lines while there is traffic; one wake-up then serves many.
    private static let gatherMilliseconds = 3

    private struct State {
        var queues: [LogQueue]
        var isStopping = false
    }
    private let state: Mutex<State>
    /// For whoever has no queue of his own.
    private let common: LogQueue
    private let signal: LogSignal
    private let finished = ThreadSignal()
    private let descriptor: CInt
    private let droppedLine: @Sendable (Int) -> [UInt8]
    private let dropped = Atomic<UInt64>(0)
    /// Has the last lines, for those who ask; `nil` where nobody does.
    package let ring: LogRing?

    /// - Parameters:
    ///   - descriptor: where lines go; not closed by this object.
    ///   - ring: keeps the last lines.
    ///   - droppedLine: makes the line that says how many were dropped.
    /// - Throws: ``IOError`` when no thread can be started.
    package init(
        descriptor: CInt, keeping ring: LogRing? = nil, droppedLine: @escaping @Sendable (Int) -> [UInt8]
    ) throws(IOError) {
        self.descriptor = descriptor
        self.ring = ring
        self.droppedLine = droppedLine
        signal = LogSignal()
        common = LogQueue(signal)
        state = Mutex(State(queues: [common]))
        try SystemThread("log") { [self] in serve() }.detach()
    }

    /// Queues one line, its newline included. Never waits for the sink.
    package func write(_ line: Span<UInt8>) { common.write(line) }

    package var droppedLines: UInt64 { dropped.load(ordering: .relaxed) }

    package func forOneThread() -> any LogSink {
        let queue = LogQueue(signal)
        state.withLock { $0.queues.append(queue) }
        return queue
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
        var taken: [TakenLines] = []
        while true {
            let (dropped, isStopping) = take(&taken)
            LogWriter.merge(taken, into: &batch)
            if dropped > 0 { batch.append(droppedLine(dropped)) }
            if batch.isEmpty {
                if isStopping { break }
                forgetUnused()
                signal.waitUnlessIdleNow()
            } else {
                signal.isBusy()
                // First, because whoever reads our standard error may be slow.
                if let ring { batch.withBytes { ring.append($0) } }
                batch.withMutableBytes { writeAll(UnsafeRawBufferPointer($0)) }
                batch.removeAll()
                if batch.capacity > 1 << 16 { batch.release() }
                if !isStopping { signal.wait(milliseconds: LogWriter.gatherMilliseconds) }
            }
        }
        finished.post()
    }

    /// Takes what is queued anywhere. Nothing of it holds a queue afterwards, or none would ever be seen to be unused.
    private func take(_ taken: inout [TakenLines]) -> (dropped: Int, isStopping: Bool) {
        let (queues, isStopping) = state.withLock { ($0.queues, $0.isStopping) }
        var dropped = 0
        taken.removeAll(keepingCapacity: true)
        for queue in queues {
            dropped += queue.take()
            taken.append(queue.taken)
        }
        if dropped > 0 { self.dropped.add(UInt64(dropped), ordering: .relaxed) }
        return (dropped, isStopping)
    }

    /// Lets go of the queues of logs that are gone.
    private func forgetUnused() {
        state.withLock { state in
            for index in state.queues.indices.reversed()
            where isKnownUniquelyReferenced(&state.queues[index]) && state.queues[index].isEmpty {
                state.queues.remove(at: index)
            }
        }
    }

    /// Moves the lines that were taken into `batch`, the earliest first.
    private static func merge(_ queues: [TakenLines], into batch: inout ByteBuffer) {
        while true {
            // The queue whose line comes first, and how far it may go on before another's turn.
            var first: (queue: TakenLines, time: UInt64)?
            var second = UInt64.max
            for queue in queues {
                guard let time = queue.nextTime else { continue }
                if time < first?.time ?? .max {
                    second = first?.time ?? .max
                    first = (queue, time)
                } else {
                    second = min(second, time)
                }
            }
            guard let queue = first?.queue else { return }
            repeat { queue.moveLine(to: &batch) } while queue.nextTime ?? .max < second
        }
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

/// Lines that wait for the thread which writes them, each behind its time and length.
private final class LogQueue: LogSink {
    /// Some 5,000 lines, with what stands before each.
    private static let maxQueued = 9 << 17
    static let headerSize = 16

    private struct State: ~Copyable {
        var lines = ByteBuffer()
        var dropped = 0
    }
    private let state = Mutex(State())
    private let signal: LogSignal
    /// An object of its own: references to it are counted while lines are moved, which the queue's users must not feel.
    let taken = TakenLines()

    init(_ signal: LogSignal) { self.signal = signal }

    func write(_ line: Span<UInt8>) {
        state.withLock { state in
            guard state.lines.count + line.count <= LogQueue.maxQueued else {
                state.dropped += 1
                return
            }
            // Within the lock, so that the times in one queue never go back.
            var header = (time: Reactor.clock(), count: UInt64(line.count))
            withUnsafeBytes(of: &header) { state.lines.append($0) }
            state.lines.append(line)
        }
        signal.postIfIdle()
    }

    // MARK: For the thread that writes

    /// Takes what is queued; what was taken before has been moved.
    ///
    /// - Returns: the lines dropped since.
    func take() -> Int {
        state.withLock { state in
            taken.exchange(&state.lines)
            defer { state.dropped = 0 }
            return state.dropped
        }
    }

    var isEmpty: Bool { state.withLock { $0.lines.isEmpty && $0.dropped == 0 } }
}

/// Lines on their way from a queue to the descriptor.
// SAFETY: only the thread that writes calls it.
private final class TakenLines: @unchecked Sendable {
    private var lines = ByteBuffer()

    /// Takes the lines, and gives the memory of those before.
    func exchange(_ queued: inout ByteBuffer) {
        if lines.capacity > 1 << 16 { lines.release() }
        swap(&lines, &queued)
    }

    /// The time of the first line; `nil` when there is none.
    var nextTime: UInt64? { lines.isEmpty ? nil : header.time }

    func moveLine(to batch: inout ByteBuffer) {
        let count = Int(header.count)
        lines.consume(LogQueue.headerSize)
        lines.withBytes { batch.append($0.extracting(0..<count)) }
        lines.consume(count)
    }

    private var header: (time: UInt64, count: UInt64) {
        lines.withBytes { bytes in
            bytes.withUnsafeBytes { bytes in
                (bytes.loadUnaligned(as: UInt64.self), bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            }
        }
    }
}

/// Wakes the thread that writes, and costs one read while that is awake.
private final class LogSignal: Sendable {
    private let signal = ThreadSignal()
    private let isIdle = Atomic<Bool>(false)

    func post() { signal.post() }

    /// A line was queued. Its lock orders this read behind the store below: either the thread has seen the line, or it is seen
    /// to be idle here.
    func postIfIdle() {
        guard isIdle.load(ordering: .relaxed), isIdle.exchange(false, ordering: .relaxed) else { return }
        signal.post()
    }

    /// Nothing is queued: notes it at the first call, so that queues are looked at once more, and waits at the second.
    func waitUnlessIdleNow() {
        if isIdle.exchange(true, ordering: .sequentiallyConsistent) { _ = signal.wait(seconds: 3600) }
    }

    func isBusy() { isIdle.store(false, ordering: .relaxed) }

    func wait(milliseconds: Int) { _ = signal.wait(milliseconds: milliseconds) }
}
