/// Bodies that come, and their windows (RFC 9113 §5.2, §6.1).
extension HTTP2Connection {
    mutating func beginData(
        _ id: UInt32, _ length: Int, _ payload: Int, _ endsStream: Bool, _ now: UInt64
    ) throws(HTTP2Error) -> HTTP2Event? {
        target = .ignored
        guard length <= credit else { throw .flowControl("DATA over the connection's window (RFC 9113 6.9.1)") }
        try giveConnectionCredit(length)
        if !endsStream, payload < limits.tinyData { try count(payload == 0 ? .emptyData : .tinyData, now) }
        guard let slot = streams.find(id) else {
            guard !isIdle(id) else { throw .protocolError("DATA on an idle stream (RFC 9113 5.1)") }
            return try lateData(id, now)
        }
        switch streams.slots[slot].incoming {
        case .done: return try lateData(id, now)
        case .head: return try failStream(id, .protocolError("DATA ahead of a head (RFC 9113 8.1)"), now)
        case .body: break
        }
        guard length <= streams.slots[slot].credit else {
            return try failStream(id, .flowControl("DATA over the stream's window (RFC 9113 6.9.1)"), now)
        }
        streams.slots[slot].credit -= length
        if streams.slots[slot].expected >= 0 {
            streams.slots[slot].expected -= Int64(payload)
            guard endsStream ? streams.slots[slot].expected == 0 : streams.slots[slot].expected >= 0 else {
                return try failStream(id, .protocolError("body and content-length differ (RFC 9113 8.1.1)"), now)
            }
        }
        // Nobody takes padding but us.
        if length > payload { try giveCredit(slot, length - payload) }
        target = .stream(id, endsStream: endsStream)
        return nil
    }

    /// DATA on a stream on which the peer has nothing more to say (§5.1).
    private mutating func lateData(_ id: UInt32, _ now: UInt64) throws(HTTP2Error) -> HTTP2Event? {
        guard !isTooLate(id) else {
            try count(.ignoredFrame, now)
            return nil
        }
        switch streams.end(of: id) {
        case .resetByUs:
            // It may have been on its way.
            try count(.ignoredFrame, now)
            return nil
        case .complete: throw .streamClosed("DATA behind the end of a stream (RFC 9113 5.1)")
        case .resetByPeer: return try failStream(id, .streamClosed("DATA behind RST_STREAM (RFC 9113 5.1)"), now)
        case .unknown:
            guard streams.find(id) != nil else {
                guard streams.mayHaveForgotten(id) else {
                    throw .streamClosed("DATA on a stream that was never opened (RFC 9113 5.1)")
                }
                // We may have reset it, and the peer not have heard of it.
                try count(.ignoredFrame, now)
                return nil
            }
            return try failStream(id, .streamClosed("DATA behind END_STREAM (RFC 9113 5.1)"), now)
        }
    }

    mutating func takePayload(_ range: Range<Int>, _ endsFrame: Bool, _ now: UInt64) throws(HTTP2Error) -> HTTP2Event? {
        guard case .stream(let id, let endsStream) = target, let slot = streams.find(id) else { return nil }
        let isEnd = endsFrame && endsStream
        if isEnd { streams.slots[slot].incoming = .done }
        guard isEnd || !range.isEmpty else { return nil }
        return .data(stream: id, range, endsStream: isEnd)
    }

    /// The connection's window opens with what arrives, in steps of half its size.
    private mutating func giveConnectionCredit(_ count: Int) throws(HTTP2Error) {
        credit -= count
        taken += count
        guard taken * 2 >= max(limits.connectionWindow, HTTP2Window.initial) else { return }
        let step = taken
        taken = 0
        credit += step
        try reply { HTTP2FrameHeader.appendWindowUpdate(0, by: step, to: &$0) }
    }

    /// The exchange took bytes of a body, so that the peer may send as many. Of a stream that is gone it is of no effect.
    ///
    /// - Throws: ENHANCE_YOUR_CALM if the peer reads none of this; the connection has failed then.
    public mutating func consumed(_ count: Int, of stream: UInt32) throws(HTTP2Error) {
        guard phase != .failed, let slot = streams.find(stream) else { return }
        do throws(HTTP2Error) { try giveCredit(slot, count) } catch {
            fail(error)
            throw error
        }
    }

    private mutating func giveCredit(_ slot: Int, _ count: Int) throws(HTTP2Error) {
        guard streams.slots[slot].incoming == .body else { return }
        streams.slots[slot].taken += count
        let step = streams.slots[slot].taken
        guard step > 0, step * 2 >= limits.streamWindow else { return }
        streams.slots[slot].taken = 0
        streams.slots[slot].credit += step
        let id = streams.slots[slot].id
        try reply { HTTP2FrameHeader.appendWindowUpdate(id, by: step, to: &$0) }
    }
}
