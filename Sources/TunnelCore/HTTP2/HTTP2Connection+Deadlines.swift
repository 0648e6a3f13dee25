/// What a peer may not draw out: the preface, settings, a header block, a window that holds a response.
extension HTTP2Connection {
    /// When `expire` is due; `nil` for never.
    public var deadline: UInt64? {
        guard phase != .failed else { return nil }
        var due = UInt64.max
        if phase != .open { due = opened &+ limits.prefaceTimeout }
        if let settingsSent { due = min(due, settingsSent &+ limits.settingsTimeout) }
        if blockSince != 0 { due = min(due, blockSince &+ limits.headerTimeout) }
        if heldSince != 0 { due = min(due, heldSince &+ limits.windowTimeout) }
        for stream in streams.slots where stream.heldSince != 0 {
            due = min(due, stream.heldSince &+ limits.windowTimeout)
        }
        return due == .max ? nil : due
    }

    /// Ends what has taken too long: a stream by an event, of which there may be several, until `nil`.
    ///
    /// - Throws: SETTINGS_TIMEOUT, or ENHANCE_YOUR_CALM for a preface, a header block or the connection's window.
    public mutating func expire(now: UInt64) throws(HTTP2Error) -> HTTP2Event? {
        guard phase != .failed else { return nil }
        do throws(HTTP2Error) {
            func isOver(_ since: UInt64, _ timeout: UInt64) -> Bool { now >= since &+ timeout }
            if phase != .open, isOver(opened, limits.prefaceTimeout) {
                throw .calm("no preface in time (RFC 9113 3.4)")
            }
            if let settingsSent, isOver(settingsSent, limits.settingsTimeout) {
                throw HTTP2Error(code: .settingsTimeout, reason: "SETTINGS not acknowledged in time (RFC 9113 6.5.3)")
            }
            if blockSince != 0, isOver(blockSince, limits.headerTimeout) {
                abuse = .headerBlock
                throw .calm("header block not whole in time")
            }
            if heldSince != 0, isOver(heldSince, limits.windowTimeout) {
                abuse = .heldWindow
                throw .calm("the connection's window does not move")
            }
            for slot in streams.slots.indices
            where streams.slots[slot].heldSince != 0 && isOver(streams.slots[slot].heldSince, limits.windowTimeout) {
                return try failStream(streams.slots[slot].id, .calm("a window does not move"), now, .heldWindow)
            }
            return nil
        } catch {
            fail(error)
            throw error
        }
    }
}
