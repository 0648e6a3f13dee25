/// The settings that RFC 9113 §6.5.2, RFC 8441 §3 and RFC 9218 §2.1 define. Others are ignored.
package struct HTTP2Setting: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let headerTableSize = HTTP2Setting(rawValue: 1)
    package static let enablePush = HTTP2Setting(rawValue: 2)
    package static let maxConcurrentStreams = HTTP2Setting(rawValue: 3)
    package static let initialWindowSize = HTTP2Setting(rawValue: 4)
    package static let maxFrameSize = HTTP2Setting(rawValue: 5)
    package static let maxHeaderListSize = HTTP2Setting(rawValue: 6)
    package static let enableConnectProtocol = HTTP2Setting(rawValue: 8)
    package static let noRFC7540Priorities = HTTP2Setting(rawValue: 9)

    /// Appends one entry of a SETTINGS frame.
    func append(_ value: UInt32, to out: inout ByteBuffer) {
        out.append(UInt8(truncatingIfNeeded: rawValue >> 8))
        out.append(UInt8(truncatingIfNeeded: rawValue))
        out.appendBigEndian(value)
    }

    /// - Throws: what §6.5.2 names for a value out of range.
    func check(_ value: UInt32) throws(HTTP2Error) {
        switch self {
        case .enablePush, .enableConnectProtocol, .noRFC7540Priorities:
            guard value <= 1 else { throw .protocolError("setting is neither 0 nor 1 (RFC 9113 6.5.2)") }
        case .initialWindowSize:
            guard value <= UInt32(HTTP2Window.max) else {
                throw .flowControl("SETTINGS_INITIAL_WINDOW_SIZE over 2^31-1 (RFC 9113 6.5.2)")
            }
        case .maxFrameSize:
            guard HTTP2FrameHeader.minMaxFrameSize...HTTP2FrameHeader.maxMaxFrameSize ~= Int(value) else {
                throw .protocolError("SETTINGS_MAX_FRAME_SIZE out of range (RFC 9113 6.5.2)")
            }
        default: break
        }
    }
}

/// A flow-control window (RFC 9113 §6.9): the bytes that may be sent. It is negative after the initial size went down.
struct HTTP2Window: Sendable, Equatable {
    static let max = 1 << 31 - 1
    /// Before any setting (§6.9.2).
    static let initial = 65_535

    private(set) var size: Int

    init(_ size: Int = initial) { self.size = size }

    /// What may be sent now.
    var available: Int { Swift.max(0, size) }

    /// - Returns: false if the window is smaller.
    mutating func take(_ count: Int) -> Bool {
        guard count <= size || count == 0 else { return false }
        size -= count
        return true
    }

    /// - Returns: false if the window would be above its bound (§6.9.1).
    mutating func add(_ count: Int) -> Bool {
        guard size + count <= Self.max else { return false }
        size += count
        return true
    }
}
