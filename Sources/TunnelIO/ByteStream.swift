package import TunnelCore

/// What reading a stream gave.
package enum Received: Equatable, Sendable {
    case bytes(Int)
    /// The peer ended the stream in order.
    case end
    /// Nothing is there now: await ``ByteStream/readable()``.
    case nothing
}

/// Whether a stream takes more bytes now. The compiler insists that somebody looks at it: whoever goes on writing into
/// a stream that is full makes the process hold what the peer does not read.
package enum Room: Equatable, Sendable {
    /// The kernel has taken everything.
    case room
    /// Bytes wait for the kernel: await ``ByteStream/flush(stall:)`` before more is written.
    case full
}

/// Why a stream's far side neither takes nor says anything more.
package enum StreamEnd: Equatable, Sendable {
    /// It said so, behind everything else that it had to say. What it said may not have been read yet.
    case orderly
    /// The connection ended or failed without that, or we gave it up.
    case lost
    /// It took nothing for longer than the writer would wait.
    case stalled
}

/// A stream of bytes in both directions on one loop: a socket, a TLS client's connection, or the inside of a tunnel.
///
/// Reading is tried first and waits only where nothing is there. Writing never waits and never loses bytes, and its
/// result says when to wait. One task may wait in each direction. So heads and bodies of HTTP are read and written in one way,
/// whatever carries them.
package protocol ByteStream: AnyObject {
    /// Appends what is there to `buffer`.
    ///
    /// - Parameter limit: bytes that `buffer` may hold in the end.
    /// - Throws: when the stream ended otherwise than in order.
    func receive(into buffer: inout ByteBuffer, limit: Int) throws(IOError) -> Received

    /// Resumes `waiter` when ``receive(into:limit:)`` has something to say, or by ``wake()``; now where it has already.
    func resumeWhenReadable(_ waiter: UnsafeContinuation<Void, Never>)

    /// Ends the wait of ``readable()`` although nothing came, because a deadline of its caller has passed.
    func wake()

    /// Sends all of `bytes`: what the kernel does not take now is kept and sent later. After a failure it does nothing,
    /// and the next flush says why.
    func send(_ bytes: UnsafeRawBufferPointer) -> Room

    /// Waits until the kernel has taken everything.
    ///
    /// - Parameter stall: nanoseconds without progress after which the wait fails with `.timedOut`; 0 for no limit.
    func flush(stall: UInt64) async throws(IOError)

    /// The kernel has taken everything, and nothing has failed: a flush would not wait.
    var hasSentAll: Bool { get }

    /// How the stream ended; `nil` while it has not.
    var ended: StreamEnd? { get }
    /// Called once when the stream ends, whoever reads it or not.
    var onEnd: (() -> Void)? { get set }
    /// Bytes behind which the far side's end stands all count. Without that, a hang-up ends the stream also while nobody
    /// reads, because who is gone reads no response.
    var readsBeforeEnd: Bool { get set }
}

extension ByteStream {
    /// Waits until ``receive(into:limit:)`` has something to say, or for ``wake()``.
    // Not a requirement: a call of one that is async makes the task look for its executor on both sides of it, and what it
    // waits in takes memory of the task.
    @inlinable @inline(__always)
    package func readable() async { await withUnsafeContinuation { resumeWhenReadable($0) } }

    /// Sends the bytes of `buffer` and empties it.
    package func send(_ buffer: inout ByteBuffer) -> Room {
        let room = buffer.withMutableBytes { send(UnsafeRawBufferPointer($0)) }
        buffer.removeAll()
        return room
    }
}
