internal import TunnelCore
internal import TunnelIO

/// What goes out: control frames and heads first, then pieces of bodies in turn, as far as the connection takes them.
extension HTTP2Server: TurnEndHandler {
    struct Sending {
        /// `turnEnded` will be called.
        var isScheduled = false
        /// The connection takes nothing more for now, and a task waits for it; or it never will.
        var isFull = false
        /// It never will.
        var isBroken = false
        /// Whose exchange is over and whose last bytes are on their way.
        var finished: [HTTP2ServerStream] = []
        var waiter: UnsafeContinuation<Void, Never>?
    }

    /// Bytes that go to the connection in one piece, and those of one turn.
    private static let piece = 48 * 1024
    private static let turnBytes = 256 * 1024
    /// A piece of a body is not cut smaller than this because little room is left.
    private static let leastRoom = 1024

    /// Sends at the end of the turn what was gathered until then.
    func schedulePump() {
        guard !sending.isScheduled, !sending.isFull, !isGone else { return }
        sending.isScheduled = true
        worker.reactor.callAtTurnEnd(self)
    }

    func turnEnded() {
        sending.isScheduled = false
        pump()
    }

    /// Sends what there is, unless the connection is full.
    func pump() {
        guard !sending.isFull, !isGone else { return }
        var out = worker.reactor.buffers.take()
        var sent = 0
        while !sending.isFull, sent < HTTP2Server.turnBytes {
            gather(into: &out)
            guard !out.isEmpty else { break }
            sent += out.count
            if stream.send(&out) == .full { becameFull() }
        }
        worker.reactor.buffers.give(&out)
        if !sending.isFull {
            releaseFinished()
            if core.controlBytes > 0 || core.hasDataToSend { schedulePump() }
        }
        arm()
    }

    /// Sends the first bytes of `buffer` at once, behind what was gathered: for a large piece of a body that nobody else is
    /// before, so that it is not copied to wait for its turn.
    ///
    /// - Returns: how many were sent; all `count` of them are offered then. `nil` where others are before it.
    func sendAtOnce(_ buffer: borrowing ByteBuffer, _ count: Int, on id: UInt32) -> Int? {
        pump()
        guard !sending.isFull, !isGone, !core.hasDataToSend else { return nil }
        // Nothing is kept of what the stream does not take any more.
        guard core.offer(count, on: id, now: worker.reactor.now) else { return count }
        var out = worker.reactor.buffers.take()
        var sent = 0
        while sent < count, !sending.isFull {
            while HTTP2Server.piece - out.count >= HTTP2Server.leastRoom,
                let turn = core.nextData(
                    room: HTTP2Server.piece - out.count - HTTP2FrameHeader.size, now: worker.reactor.now)
            {
                turn.appendHeader(to: &out)
                buffer.withBytes { out.append($0.extracting(sent..<sent + turn.count)) }
                sent += turn.count
            }
            guard !out.isEmpty else { break }
            if stream.send(&out) == .full { becameFull() }
        }
        worker.reactor.buffers.give(&out)
        return sent
    }

    private func gather(into out: inout ByteBuffer) {
        core.drainControl(into: &out)
        let now = worker.reactor.now
        while HTTP2Server.piece - out.count >= HTTP2Server.leastRoom,
            let turn = core.nextData(
                room: HTTP2Server.piece - out.count - HTTP2FrameHeader.size, now: now)
        {
            guard let stream = find(turn.stream) else { continue }
            turn.appendHeader(to: &out)
            stream.give(turn.count, to: &out)
            if core.controlBytes > 0 { core.drainControl(into: &out) }
        }
    }

    /// An exchange is over: its place is given back when its bytes have gone.
    func finish(_ stream: HTTP2ServerStream) {
        sending.finished.append(stream)
        schedulePump()
    }

    private func releaseFinished() {
        var index = 0
        while index < sending.finished.count {
            guard sending.finished[index].isSent else {
                index += 1
                continue
            }
            let last = sending.finished.count - 1
            sending.finished.swapAt(index, last)
            release(sending.finished.removeLast())
        }
    }

    /// Waits until the connection has taken everything.
    func sent() async {
        while sending.isFull && !sending.isBroken { await withUnsafeContinuation { sending.waiter = $0 } }
    }

    private func becameFull() {
        sending.isFull = true
        worker.reactor.spawn(with: self) { server in await server.drain() }
    }

    /// Waits for the connection, in a task of its own: nobody else may wait while all others do.
    private func drain() async {
        do throws(IOError) { try await stream.flush(stall: snapshot.sendTimeout) } catch {
            sending.isBroken = true
        }
        sending.waiter?.resume()
        sending.waiter = nil
        // Who reads finds out that it has ended.
        guard !sending.isBroken else {
            for case let stream? in streams { stream.wakeSender() }
            return stream.wake()
        }
        sending.isFull = false
        pump()
        if !sending.isFull { for case let stream? in streams { stream.wakeSender() } }
    }
}
