internal import TunnelCore
internal import TunnelIO

/// Reads the heads of requests from a stream, within their limits of bytes and time, and keeps what came behind them.
///
/// One for the life of a connection, and the only place where the head of a request is read: that of an upgrade as well as those
/// inside a tunnel.
final class RequestReader {
    enum Outcome {
        /// A whole head, of that many bytes, is at the front of ``input``.
        case head(Int)
        // Indirect, as whoever waits for a head has room for one in its frame.
        indirect case malformed(HTTPError)
        /// It had begun and was not whole within its time.
        case overdue
        /// Nothing began within the time that a connection may be idle.
        case idle
        /// The stream ended, or reading was stopped.
        case ended
    }

    let stream: any ByteStream
    private let worker: Worker
    /// Received and not consumed. Holds memory only while it holds bytes.
    var input = ByteBuffer()
    /// The head that was read last.
    var head = RequestHead()
    /// No head will be read any more.
    private var isStopped = false
    private var isOverdue = false
    private lazy var deadline = Deadline(on: worker.reactor) { [unowned self] in
        isOverdue = true
        stream.wake()
    }

    init(_ stream: any ByteStream, on worker: Worker) { (self.stream, self.worker) = (stream, worker) }

    /// Ends the wait for a head, now and later: for the end of the proxy.
    func stop() {
        isStopped = true
        stream.wake()
    }

    /// Reads up to the end of the next head.
    ///
    /// - Parameters:
    ///   - timeout: nanoseconds from its first byte to its last.
    ///   - idleTimeout: nanoseconds until its first byte; 0 for any time.
    func nextHead(_ limits: HeadLimits, timeout: UInt64, idleTimeout: UInt64) async -> Outcome {
        defer {
            deadline.cancel()
            isOverdue = false
        }
        var isBegun = false
        if input.isEmpty && idleTimeout > 0 { deadline.set(after: idleTimeout) }
        // More than a head, so that a small body comes with it.
        let limit = limits.maxBytes + 64 * 1024
        while true {
            // Also with a whole head at hand: who has no response may ask again elsewhere, who is cut may not.
            if isStopped { return .ended }
            if !input.isEmpty {
                if !isBegun { head = worker.heads.takeRequest() }
                do throws(HTTPError) {
                    if let size = try parse(limits) { return .head(size) }
                } catch { return .malformed(error) }
                if !isBegun {
                    isBegun = true
                    // The time that a connection may be idle can end in the very turn in which the head begins.
                    isOverdue = false
                    deadline.set(after: timeout)
                }
            }
            switch receive(limit: limit) {
            case .bytes: continue
            case .end: return .ended
            case .nothing: break
            }
            if isOverdue { return isBegun ? .overdue : .idle }
            await stream.readable()
        }
    }

    /// Waits for what the connection begins with.
    ///
    /// - Parameter timeout: nanoseconds from its first byte until that is certain; what never is counts as another protocol.
    /// - Returns: whether it is the preface of HTTP/2 (RFC 9113 §3.4).
    func startsHTTP2(timeout: UInt64, idleTimeout: UInt64) async -> Bool {
        while !isStopped {
            if let isPreface = input.withBytes({ HTTP2Connection.isPreface($0) }) { return isPreface }
            switch receive(limit: BufferPool.smallSize) {
            case .bytes: continue
            case .end: return false
            case .nothing: if await !readable(within: input.isEmpty ? idleTimeout : timeout) { return false }
            }
        }
        return false
    }

    /// Hands out what came and was not consumed.
    func takeInput() -> ByteBuffer {
        var taken = ByteBuffer()
        swap(&taken, &input)
        return taken
    }

    /// The head has been used.
    func releaseHead() { worker.heads.give(&head) }

    /// Appends what is there to ``input``. A failed stream has ended as well.
    func receive(limit: Int) -> Received {
        if input.capacity == 0, stream.ended == nil { input = worker.reactor.buffers.take(atLeast: 1) }
        let received: Received
        do throws(IOError) { received = try stream.receive(into: &input, limit: limit) } catch { received = .end }
        if input.isEmpty { worker.reactor.buffers.give(&input) }
        return received
    }

    func consume(_ count: Int) {
        input.consume(count)
        if input.isEmpty { worker.reactor.buffers.give(&input) }
    }

    /// Waits for more bytes.
    ///
    /// - Parameter timeout: nanoseconds; 0 for any time.
    /// - Returns: `false` when none came within it.
    func readable(within timeout: UInt64) async -> Bool {
        if timeout > 0 { deadline.set(after: timeout) }
        await stream.readable()
        defer { isOverdue = false }
        deadline.cancel()
        return !isOverdue
    }

    /// Gives everything back, at the end of the connection.
    func close() {
        worker.heads.give(&head)
        worker.reactor.buffers.give(&input)
    }

    private func parse(_ limits: HeadLimits) throws(HTTPError) -> Int? {
        var failure: HTTPError?
        let size: Int? = input.withBytes { bytes in
            do throws(HTTPError) { return try head.parse(bytes, limits: limits) } catch {
                failure = error
                return nil
            }
        }
        if let failure { throw failure }
        return size
    }
}
