internal import TunnelCore
internal import TunnelIO

/// What goes out: control frames and heads first, then pieces of bodies in turn, as far as the connection takes them.
extension HTTP2Upstream: TurnEndHandler {
    struct Sending {
        /// `turnEnded` will be called.
        var isScheduled = false
        /// The connection takes nothing more for now, and a task waits for it; or it never will.
        var isFull = false
        /// Bytes handed to the connection so far.
        var total: UInt64 = 0
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
        guard !sending.isFull, !isGone, core.controlBytes > 0 || core.hasDataToSend else { return }
        var out = worker.reactor.buffers.take()
        var sent = 0
        while !sending.isFull, sent < HTTP2Upstream.turnBytes {
            gather(into: &out)
            guard !out.isEmpty else { break }
            sent += out.count
            sending.total &+= UInt64(out.count)
            if connection.send(&out) == .full { becameFull() }
        }
        worker.reactor.buffers.give(&out)
        if sent >= HTTP2Upstream.turnBytes, core.controlBytes > 0 || core.hasDataToSend { schedulePump() }
    }

    private func gather(into out: inout ByteBuffer) {
        core.drainControl(into: &out)
        let now = worker.reactor.now
        while HTTP2Upstream.piece - out.count >= HTTP2Upstream.leastRoom,
            let turn = core.nextData(room: HTTP2Upstream.piece - out.count - HTTP2FrameHeader.size, now: now)
        {
            guard let client = find(turn.stream) else { continue }
            turn.appendHeader(to: &out)
            client.give(turn.count, to: &out)
            if core.controlBytes > 0 { core.drainControl(into: &out) }
        }
    }

    private func becameFull() {
        sending.isFull = true
        worker.reactor.spawn(with: self) { upstream in await upstream.drain() }
    }

    /// Waits for the connection, in a task of its own: nobody else may wait while all others do. An upstream may take its time.
    private func drain() async {
        do throws(IOError) { try await connection.flush(stall: 0) } catch {
            // What it said before it went counts: whole responses, and which requests it did not take.
            var turns = 0
            while turns < HTTP2Upstream.lastTurns, read() { turns += 1 }
            return end(error)
        }
        sending.isFull = false
        pump()
        if !sending.isFull { wakeSenders() }
    }
}
