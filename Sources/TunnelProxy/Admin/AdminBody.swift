internal import TunnelCore
internal import TunnelIO

/// The body of a streamed response of the admin listener.
final class AdminBody: ServerStreamObserver {
    private let stream: any ServerStream
    private let reactor: Reactor
    private var waiter: UnsafeContinuation<Void, Never>?
    private var isWoken = false
    /// Nobody reads any more, or the listener ends.
    private(set) var isOver = false

    init(_ stream: any ServerStream, on reactor: Reactor) { (self.stream, self.reactor) = (stream, reactor) }

    /// Sends bytes, and waits until the kernel has taken them.
    ///
    /// - Returns: `false` when the reader has gone, or takes nothing.
    func send(_ bytes: [UInt8]) async -> Bool {
        guard !isOver else { return false }
        if !bytes.isEmpty {
            var buffer = ByteBuffer()
            bytes.withUnsafeBytes { buffer.append($0) }
            stream.sendBody(&buffer, buffer.count)
        }
        if stream.push() == .full {
            do throws(IOError) { try await stream.flush() } catch { isOver = true }
        }
        return !isOver
    }

    /// Waits for ``wake()``, for the end, or for the time given.
    func wait(atMost duration: Duration) async {
        guard !isOver, !isWoken else {
            isWoken = false
            return
        }
        let deadline = Deadline(on: reactor) { [unowned self] in wake() }
        deadline.set(after: duration.nanoseconds)
        await withUnsafeContinuation { waiter = $0 }
        isWoken = false
        deadline.cancel()
    }

    /// There is something to send. On the loop of the listener.
    func wake() {
        isWoken = true
        let waiter = waiter.take()
        waiter?.resume()
    }

    func clientEnded(_ end: StreamEnd) { endNow() }

    func endNow() {
        isOver = true
        wake()
    }
}
