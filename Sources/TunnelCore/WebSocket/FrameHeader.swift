/// The head of one WebSocket frame (RFC 6455 §5.2), without its payload.
public struct FrameHeader: Equatable, Sendable {
    /// Bytes of the longest header: 2, a 64-bit length, and a masking key.
    public static let maxSize = 14
    /// Bytes of the longest header a server sends, which is never masked.
    public static let maxServerHeaderSize = 10
    /// Bytes of the longest payload of a control frame (RFC 6455 §5.5).
    public static let maxControlPayload = 125

    /// The FIN bit: the last frame of its message.
    public var isFinal: Bool
    /// The RSV1 bit, which marks the first frame of a compressed message (RFC 7692 §6).
    public var isCompressed: Bool
    public var opcode: Opcode
    /// Bytes of payload that follow the header.
    public var payloadLength: Int
    /// `nil` when the payload is not masked.
    public var mask: MaskingKey?

    public init(
        _ opcode: Opcode, isFinal: Bool = true, isCompressed: Bool = false, payloadLength: Int,
        mask: MaskingKey? = nil
    ) {
        precondition(payloadLength >= 0, "negative payload length")
        self.isFinal = isFinal
        self.isCompressed = isCompressed
        self.opcode = opcode
        self.payloadLength = payloadLength
        self.mask = mask
    }

    /// Bytes the header occupies: 2...14.
    public var size: Int { 2 + lengthBytes + (mask == nil ? 0 : 4) }

    private var lengthBytes: Int { payloadLength < 126 ? 0 : payloadLength < 65_536 ? 2 : 8 }
}

extension FrameHeader {
    /// Decodes the header at the front of `bytes`.
    ///
    /// Pure: keeps nothing between calls, so a caller with half a header simply calls again with more bytes. The
    /// payload is not looked at and may be absent. A broken rule is reported by the first byte that breaks it.
    ///
    /// - Parameter bytes: everything received and not yet consumed; may be empty, may hold many frames.
    /// - Parameter role: our own role: a server takes only masked frames, a client only unmasked ones (§5.1).
    /// - Parameter maxPayload: longest payload of a data frame to accept, in bytes. Checked before the payload arrives.
    /// - Parameter allowsCompression: whether permessage-deflate was negotiated, so that RSV1 may be set.
    /// - Returns: the header and its size (2...14), or `nil` if more bytes are needed.
    /// - Throws: code 1002 for a reserved bit or opcode, a fragmented or over-long control frame, a wrong mask bit, or
    ///   a length not in its shortest form; 1009 above `maxPayload`. Each is fatal for the connection.
    public static func decode(
        _ bytes: Span<UInt8>, role: WebSocketRole, maxPayload: Int = .max, allowsCompression: Bool = false
    ) throws(WebSocketError) -> (FrameHeader, size: Int)? {
        guard bytes.count >= 1 else { return nil }
        let first = bytes[0]
        guard let opcode = Opcode(rawValue: first & 0x0F) else { throw .protocolError("reserved opcode (§5.2)") }
        let isFinal = first & 0x80 != 0
        let isCompressed = first & 0x40 != 0
        if isCompressed {
            guard allowsCompression else { throw .protocolError("RSV1 set without an extension (§5.2)") }
            // RFC 7692 §6.1: only the first frame of a data message says whether the message is compressed.
            guard opcode == .text || opcode == .binary else { throw .protocolError("RSV1 set (RFC 7692 §6.1)") }
        }
        guard first & 0x30 == 0 else { throw .protocolError("reserved bit set (§5.2)") }
        if opcode.isControl, !isFinal { throw .protocolError("fragmented control frame (§5.5)") }

        guard bytes.count >= 2 else { return nil }
        let short = Int(bytes[1] & 0x7F)
        let isMasked = bytes[1] & 0x80 != 0
        switch role {
        case .server: guard isMasked else { throw .protocolError("client frame not masked (§5.1)") }
        case .client: guard !isMasked else { throw .protocolError("server frame masked (§5.1)") }
        }
        if opcode.isControl, short > maxControlPayload { throw .protocolError("control frame too long (§5.5)") }

        let lengthBytes = short == 127 ? 8 : short == 126 ? 2 : 0
        guard bytes.count >= 2 + lengthBytes else { return nil }
        var length = UInt64(short)
        if lengthBytes > 0 {
            length = 0
            for index in 2..<2 + lengthBytes { length = length << 8 | UInt64(bytes[index]) }
            let least: UInt64 = lengthBytes == 2 ? 126 : 65_536
            guard length >= least else { throw .protocolError("length not minimal (§5.2)") }
            guard length >> 63 == 0 else { throw .protocolError("length's top bit set (§5.2)") }
        }
        guard opcode.isControl || length <= UInt64(maxPayload) else {
            throw .messageTooBig("frame payload", limit: maxPayload)
        }

        let size = 2 + lengthBytes + (isMasked ? 4 : 0)
        guard bytes.count >= size else { return nil }
        let mask: MaskingKey? =
            isMasked ? MaskingKey(bytes[size - 4], bytes[size - 3], bytes[size - 2], bytes[size - 1]) : nil
        let header = FrameHeader(
            opcode, isFinal: isFinal, isCompressed: isCompressed, payloadLength: Int(length), mask: mask)
        return (header, size)
    }

    /// Appends the header; the payload, masked if `mask` is set, is to follow.
    public func encode(into buffer: inout ByteBuffer) {
        _ = buffer.append(atMost: Self.maxSize) { write(into: $0) }
    }

    /// Writes the header at the front of `room`, which must hold `size` bytes, and returns `size`.
    package func write(into room: UnsafeMutableRawBufferPointer) -> Int {
        let size = size
        precondition(room.count >= size, "no room for the frame header")
        room[0] = (isFinal ? 0x80 : 0) | (isCompressed ? 0x40 : 0) | opcode.rawValue
        let masked: UInt8 = mask == nil ? 0 : 0x80
        switch lengthBytes {
        case 0: room[1] = masked | UInt8(truncatingIfNeeded: payloadLength)
        case 2: room[1] = masked | 126
        default: room[1] = masked | 127
        }
        for index in 0..<lengthBytes {
            room[2 + index] = UInt8(truncatingIfNeeded: payloadLength &>> ((lengthBytes - 1 - index) * 8))
        }
        if let mask {
            for index in 0..<4 { room[size - 4 + index] = UInt8(truncatingIfNeeded: mask.word &>> (index * 8)) }
        }
        return size
    }

    /// Writes the header into the last bytes of `room` and returns `size`.
    ///
    /// For a payload that was written first, with `room` reserved in front of it: header and payload are then adjacent
    /// however short the header turns out.
    package func write(atEndOf room: UnsafeMutableRawBufferPointer) -> Int {
        let size = size
        precondition(room.count >= size, "no room for the frame header")
        return write(into: UnsafeMutableRawBufferPointer(rebasing: room[(room.count - size)...]))
    }
}

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

/// Which end of a WebSocket connection we are (RFC 6455 §1.2).
///
/// The role decides masking: a client masks every frame it sends, a server masks none (RFC 6455 §5.1).
public enum WebSocketRole: Sendable {
    case client
    case server
}
