/// The frames that carry no message: settings, windows, resets, pings, priorities, farewells (RFC 9113 §6.3-§6.9).
extension HTTP2Connection {
    mutating func takeControl(
        _ event: HTTP2FrameDecoder.Event, _ bytes: Span<UInt8>, _ now: UInt64
    ) throws(HTTP2Error) -> HTTP2Event? {
        switch event {
        case .setting(let setting, let value):
            try apply(setting, Int(value))
            return nil
        case .endOfSettings:
            try count(.settings, now)
            try reply { HTTP2FrameHeader.appendSettingsAck(to: &$0) }
            return .settings
        case .settingsAck:
            guard settingsSent != nil else {
                try count(.settings, now)
                return nil
            }
            settingsSent = nil
            try applyOwnSettings()
            return nil
        case .ping(let opaque, let isAck):
            try count(.ping, now)
            if isAck { return .pong(opaque) }
            try reply { HTTP2FrameHeader.appendPing(opaque, isAck: true, to: &$0) }
            return nil
        case .reset(let stream, let code): return try takeReset(stream, code, now)
        case .windowUpdate(let stream, let increment): return try open(stream, increment, now)
        case .priority:
            try count(.priority, now)
            return nil
        case .priorityUpdate(let stream, let value):
            try count(.priority, now)
            if let slot = streams.find(stream) {
                setPriority(slot, HTTP2Priority(bytes.extracting(value)))
            } else if isIdle(stream), stream & 1 == 1 {
                earlyPriorities.keep(HTTP2Priority(bytes.extracting(value)), of: stream)
            }
            return nil
        case .goAway(let lastStream, let code):
            // It ends nothing by itself, and each is an event.
            try count(.ignoredFrame, now)
            isPeerDraining = true
            return .goAway(lastStream: lastStream, code)
        case .streamError(let stream, let error):
            if isTooLate(stream) {
                try count(.ignoredFrame, now)
                return nil
            }
            guard streams.find(stream) != nil || !isIdle(stream) else {
                // RFC 9113 §5.1 knows no error of an idle stream, and RST_STREAM may not be sent for one.
                throw error
            }
            return try failStream(stream, error, now)
        case .unknown:
            try count(.ignoredFrame, now)
            return nil
        default: return nil
        }
    }

    private mutating func apply(_ setting: HTTP2Setting, _ value: Int) throws(HTTP2Error) {
        switch setting {
        case .headerTableSize: encoder.setTableLimit(value)
        case .maxConcurrentStreams: peerMaxStreams = value
        case .maxFrameSize: peerMaxFrameSize = value
        case .enableConnectProtocol:
            guard value == 1 || !peerAllowsConnectProtocol else {
                throw .protocolError("SETTINGS_ENABLE_CONNECT_PROTOCOL taken back (RFC 8441 3)")
            }
            peerAllowsConnectProtocol = value == 1
        case .initialWindowSize:
            // §6.9.2: the windows of all streams change by the difference, also below zero.
            let change = value - peerStreamWindow
            peerStreamWindow = value
            for slot in streams.slots.indices where streams.slots[slot].id != 0 {
                guard streams.slots[slot].window.add(change) else {
                    throw .flowControl("SETTINGS_INITIAL_WINDOW_SIZE makes a window too large (RFC 9113 6.9.2)")
                }
                schedule(slot)
            }
        default: break
        }
    }

    /// The peer follows our settings from here on (§6.5.3).
    private mutating func applyOwnSettings() throws(HTTP2Error) {
        decoder.setTableLimit(limits.headers.maxTableSize)
        let change = limits.streamWindow - streamWindow
        streamWindow = limits.streamWindow
        for slot in streams.slots.indices where streams.slots[slot].id != 0 { streams.slots[slot].credit += change }
    }

    private mutating func takeReset(
        _ stream: UInt32, _ code: HTTP2ErrorCode, _ now: UInt64
    ) throws(HTTP2Error) -> HTTP2Event? {
        guard !isIdle(stream) else { throw .protocolError("RST_STREAM on an idle stream (RFC 9113 6.4)") }
        try count(.rapidReset, now)
        guard let slot = streams.find(stream) else { return nil }
        let wasDone = streams.slots[slot].isDone
        close(slot)
        streams.remember(stream, .resetByPeer)
        return wasDone ? nil : .reset(stream: stream, code, isByPeer: true)
    }

    private mutating func open(_ stream: UInt32, _ increment: Int, _ now: UInt64) throws(HTTP2Error) -> HTTP2Event? {
        try count(.windowUpdate, now)
        guard stream != 0 else {
            guard window.add(increment) else { throw .flowControl("connection's window over 2^31-1 (RFC 9113 6.9.1)") }
            return nil
        }
        guard let slot = streams.find(stream) else {
            guard !isIdle(stream) else { throw .protocolError("WINDOW_UPDATE on an idle stream (RFC 9113 5.1)") }
            return nil
        }
        guard streams.slots[slot].window.add(increment) else {
            return try failStream(stream, .flowControl("stream's window over 2^31-1 (RFC 9113 6.9.1)"), now)
        }
        schedule(slot)
        return nil
    }

    private mutating func setPriority(_ slot: Int, _ priority: HTTP2Priority) {
        // It stays queued, also when its window was taken back: `nextData` notes since when it is held.
        let wasQueued = streams.slots[slot].isQueued
        scheduler.remove(slot, from: &streams.slots)
        streams.slots[slot].priority = priority
        if wasQueued { scheduler.add(slot, to: &streams.slots) }
    }

    /// The stream has nothing to send any more. The connection's window holds nobody once that is so of all.
    mutating func unschedule(_ slot: Int) {
        scheduler.remove(slot, from: &streams.slots)
        if scheduler.isEmpty { heldSince = 0 }
    }

    /// The stream takes part if it has bytes to send and a window for them.
    mutating func schedule(_ slot: Int) {
        guard streams.slots[slot].pending > 0, streams.slots[slot].window.available > 0 else { return }
        scheduler.add(slot, to: &streams.slots)
    }
}
