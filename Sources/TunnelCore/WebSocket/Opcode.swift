/// What a frame is (RFC 6455 §5.2). The ten values missing here are reserved and refused.
public enum Opcode: UInt8, Sendable {
    /// A further fragment of the message that an earlier frame began.
    case continuation = 0x0
    case text = 0x1
    case binary = 0x2
    case close = 0x8
    case ping = 0x9
    case pong = 0xA

    /// Close, ping and pong: at most 125 bytes, never fragmented, and allowed between the fragments of a message
    /// (RFC 6455 §5.5).
    public var isControl: Bool { rawValue & 0x8 != 0 }
}
