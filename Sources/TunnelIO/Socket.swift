internal import CLinux
internal import Glibc
package import TunnelCore

/// Learns from a socket what came, when the socket is read by push instead of by ``Socket/readable()``.
package protocol SocketReader: AnyObject {
    /// Bytes may be there: read until ``Socket/receive(into:)`` says that nothing is left.
    func socketBecameReadable()
    /// The socket has failed or was closed; `error` says why. Called once.
    func socketFailed(_ error: IOError)
}

/// One connected stream socket on a loop.
///
/// Reads are tried at once and wait only where nothing is there. Writes never wait: what the kernel does not take is
/// kept, in order, and sent when it does; the writer awaits ``flush(stall:)`` before it writes more, which bounds the
/// memory. Closing is how an operation is cancelled: pending waits end with an error.
///
/// It is watched edge-triggered, once for its life, so it remembers what the kernel last said: a read that filled less
/// than its room saves the call that would only say "nothing left", unless the peer's end was reported, which comes once.
/// Its hot state is one struct, because each property of a class costs a check for exclusive access.
package final class Socket: ReadinessHandler, ByteStream {
    private struct State {
        var isReadable = true
        var isWritable = true
        /// The peer's end was reported: a short read no longer means that nothing is left.
        var sawHangUp = false
        /// The end of what we send follows behind `unsent`.
        var endsWriting = false
        /// The loop will call once more next turn.
        var isContinued = false
        var failure: IOError?
        /// The peer takes no more bytes; what it has said can still be read.
        var writeFailure: IOError?
        var readWaiter: UnsafeContinuation<Void, Never>?
        var flushWaiter: UnsafeContinuation<Void, Never>?
        /// What the present wait for the kernel may take without progress, and what was unsent when that was last checked.
        var stall: UInt64 = 0
        var unsentAtCheck = 0
    }

    private static let usualRead = 4096

    package let reactor: Reactor
    package private(set) var descriptor: CInt
    private var registration: Registration?
    private var state = State()
    /// What the kernel has not taken yet.
    private var unsent = ByteBuffer()
    /// When set, it learns of bytes and of failure; ``readable()`` is not used then. ``close(_:)`` lets it go: a weak
    /// reference would make each retain and release of the reader take the slow way.
    package var reader: (any SocketReader)?
    package var onEnd: (() -> Void)?
    package var readsBeforeEnd = false
    /// Made by the first wait that has a limit, which most sockets never see.
    private var stallDeadline: Deadline?

    /// Takes over a connected, non-blocking descriptor; it is closed with this object.
    package init(adopting descriptor: CInt, on reactor: Reactor) throws(IOError) {
        self.descriptor = descriptor
        self.reactor = reactor
        do { registration = try reactor.register(descriptor, self) } catch {
            Glibc.close(descriptor)
            self.descriptor = -1
            throw error
        }
    }

    /// Takes over a descriptor that is watched already: one that has just connected.
    ///
    /// - Parameter sawHangUp: whether the report that it is connected held the peer's end too; that is not repeated.
    init(connected descriptor: CInt, _ registration: Registration, sawHangUp: Bool, on reactor: Reactor) {
        self.descriptor = descriptor
        self.reactor = reactor
        self.registration = registration
        state.sawHangUp = sawHangUp
        reactor.replaceHandler(of: registration, with: self)
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    package var isClosed: Bool { descriptor < 0 }
    /// Why the socket can no longer be used; `nil` while it can.
    package var failure: IOError? { state.failure }
    /// Why nothing more can be sent, although what the peer said can still be read.
    package var writeFailure: IOError? { state.failure ?? state.writeFailure }
    /// Whether the kernel has reported the peer's end, which may lie behind bytes that are not read yet.
    package var sawHangUp: Bool { state.sawHangUp }
    package var ended: StreamEnd? {
        if let failure = writeFailure { return failure.code == .timedOut ? .stalled : .lost }
        return state.sawHangUp && !readsBeforeEnd ? .lost : nil
    }
    /// The kernel has taken everything that was sent.
    package var hasSentAll: Bool { unsent.isEmpty && writeFailure == nil }
    /// Bytes that have not arrived: those that wait for the kernel, and those that the peer has not acknowledged.
    package var unacknowledged: Int { unsent.count + (descriptor < 0 ? 0 : Int(CLinux_unacknowledged(descriptor))) }
    /// Bytes that wait for the kernel.
    package var unsentCount: Int { unsent.count }

    // MARK: Reading

    /// Reads what is there.
    ///
    /// - Returns: the number of bytes; 0 at the end of the stream; `nil` when nothing is there now.
    package func receive(into room: UnsafeMutableRawBufferPointer) throws(IOError) -> Int? {
        if let failure = state.failure { throw failure }
        guard state.isReadable else { return nil }
        while true {
            let count = recv(descriptor, room.baseAddress, room.count, 0)
            if count > 0 {
                // Fewer bytes than asked for means the queue is empty: the next byte brings a new report.
                if count < room.count && !state.sawHangUp { state.isReadable = false }
                return count
            }
            if count == 0 { return 0 }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                state.isReadable = false
                return nil
            default:
                let error = IOError.fromErrno("read")
                fail(error)
                throw error
            }
        }
    }

    package func receive(into buffer: inout ByteBuffer, limit: Int) throws(IOError) -> Received {
        // Into memory that is there, and not into more than a usual read where there is none.
        let room = min(limit - buffer.count, max(buffer.spareCapacity, Socket.usualRead))
        guard room > 0 else { return .nothing }
        var isEnd = false
        let count = try buffer.append(atMost: room) { bytes throws(IOError) in
            guard let count = try receive(into: bytes) else { return 0 }
            isEnd = count == 0
            return count
        }
        return count > 0 ? .bytes(count) : isEnd ? .end : .nothing
    }

    /// See ``ByteStream/resumeWhenReadable(_:)``. One task may wait at a time.
    package func resumeWhenReadable(_ waiter: UnsafeContinuation<Void, Never>) {
        if state.isReadable || state.failure != nil { return waiter.resume() }
        state.readWaiter = waiter
    }

    package func wake() {
        state.readWaiter?.resume()
        state.readWaiter = nil
    }

    /// Whether something can be read now, the end of the stream included: for a pooled connection that should be quiet.
    package var hasInput: Bool {
        if state.failure != nil || state.sawHangUp { return true }
        return state.isReadable && peek()
    }

    /// Asks the kernel whether something can be read now, also where no report of it has been looked at yet.
    func peek() -> Bool {
        guard descriptor >= 0 else { return true }
        var byte: UInt8 = 0
        let count = recv(descriptor, &byte, 1, CInt(MSG_PEEK))
        if count < 0 && errno == EAGAIN {
            state.isReadable = false
            return false
        }
        state.isReadable = true
        return true
    }

    // MARK: Writing

    /// Sends `bytes`, all of them: what the kernel does not take now is copied and sent later.
    package func send(_ bytes: UnsafeRawBufferPointer) -> Room {
        // A flush would fail at once, so nobody has to wait for anything.
        guard state.failure == nil, state.writeFailure == nil else { return .room }
        var rest = bytes
        if unsent.isEmpty && state.isWritable {
            let (sent, error) = transmit(bytes)
            if let error {
                failWrite(error)
                return .room
            }
            if sent == bytes.count { return .room }
            rest = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(sent))
        }
        if unsent.capacity == 0 { unsent = reactor.buffers.take() }
        unsent.append(rest)
        return .full
    }

    /// Waits until the kernel has taken everything. One task may wait at a time.
    package func flush(stall: UInt64 = 0) async throws(IOError) {
        if !unsent.isEmpty && state.failure == nil {
            if stall > 0 { watchForStall(stall) }
            await withUnsafeContinuation { state.flushWaiter = $0 }
            stallDeadline?.cancel()
        }
        if let failure = state.failure ?? state.writeFailure { throw failure }
    }

    /// Ends a wait for the kernel, and with it all writing: whoever should read is known to be gone.
    package func abandonFlush() {
        if state.flushWaiter != nil { failWrite(IOError(.closed, "write")) }
    }

    private func watchForStall(_ limit: UInt64) {
        (state.stall, state.unsentAtCheck) = (limit, unsent.count)
        let deadline = stallDeadline ?? Deadline(on: reactor) { [unowned self] in checkProgress() }
        stallDeadline = deadline
        deadline.set(after: limit)
    }

    /// A peer that takes a little has not stalled, however long the whole takes.
    private func checkProgress() {
        guard state.flushWaiter != nil else { return }
        if unsent.count < state.unsentAtCheck { return watchForStall(state.stall) }
        failWrite(IOError(.timedOut, "write"))
    }

    /// Hands bytes to the kernel until it takes no more; how many it took, and why it failed if it did.
    private func transmit(_ bytes: UnsafeRawBufferPointer) -> (sent: Int, error: IOError?) {
        var sent = 0
        while sent < bytes.count {
            let count = Glibc.send(
                descriptor, bytes.baseAddress.map { $0 + sent }, bytes.count - sent, CInt(MSG_NOSIGNAL))
            if count >= 0 {
                sent += count
                continue
            }
            if errno == EINTR { continue }
            guard errno == EAGAIN else { return (sent, .fromErrno("write")) }
            state.isWritable = false
            break
        }
        return (sent, nil)
    }

    // MARK: Ending

    /// Says that no more will be sent, once the kernel has taken what was.
    package func shutdownWrite() {
        guard descriptor >= 0 else { return }
        state.endsWriting = true
        if unsent.isEmpty { shutdown(descriptor, CInt(SHUT_WR)) }
    }

    /// Closes the descriptor. Pending and later operations fail with `reason`.
    package func close(_ reason: IOError = IOError(.closed, "socket")) {
        guard descriptor >= 0 else { return }
        if let registration { reactor.deregister(registration) }
        registration = nil
        Glibc.close(descriptor)
        descriptor = -1
        fail(reason)
        reader = nil
    }

    /// Closes with a reset instead of an orderly end, so that a peer cannot take what it has for the whole.
    package func reset(_ reason: IOError) {
        guard descriptor >= 0 else { return }
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        close(reason)
    }

    private func failWrite(_ error: IOError) {
        state.writeFailure = error
        reactor.buffers.give(&unsent)
        state.flushWaiter?.resume()
        state.flushWaiter = nil
    }

    /// The reader hears of it next turn, because it may be the one whose call failed.
    private func fail(_ error: IOError) {
        guard state.failure == nil else { return }
        state.failure = error
        reactor.buffers.give(&unsent)
        stallDeadline?.cancel()
        let waiters = (state.readWaiter, state.flushWaiter)
        (state.readWaiter, state.flushWaiter) = (nil, nil)
        waiters.0?.resume()
        waiters.1?.resume()
        if reader != nil { continueNextTurn() }
    }

    // MARK: Dispatch

    package func ready(_ readiness: Readiness) {
        if readiness.isEmpty { state.isContinued = false }
        if readiness.contains(.hangUp) { state.sawHangUp = true }
        if readiness.contains(.write) {
            state.isWritable = true
            if !unsent.isEmpty { sendUnsent() }
        }
        if let failure = state.failure {
            let reader = reader
            self.reader = nil
            reader?.socketFailed(failure)
            return
        }
        if let onEnd, ended != nil {
            self.onEnd = nil
            onEnd()
        }
        // An empty report is our own call after a bounded turn.
        guard readiness.contains(.read) || readiness.isEmpty else { return }
        state.isReadable = true
        if let waiter = state.readWaiter {
            state.readWaiter = nil
            waiter.resume()
        } else {
            reader?.socketBecameReadable()
        }
    }

    private func sendUnsent() {
        let (sent, error) = unsent.withMutableBytes { transmit(UnsafeRawBufferPointer($0)) }
        if let error { return failWrite(error) }
        unsent.consume(sent)
        guard unsent.isEmpty else { return }
        reactor.buffers.give(&unsent)
        if state.endsWriting { shutdownWrite() }
        if let waiter = state.flushWaiter {
            state.flushWaiter = nil
            waiter.resume()
        }
    }

    /// Asks for one more ``SocketReader/socketBecameReadable()`` next turn, after a bounded amount of work. One: were each
    /// asking to count, a peer that sends without end would get one more share of the loop with every turn.
    package func continueNextTurn() {
        guard let registration, !state.isContinued else { return }
        state.isContinued = true
        reactor.callAgain(registration)
    }
}
