/// Writes frames for one side of a connection (RFC 6455 §5.2); a client's are masked, each with a fresh key.
public struct FrameEncoder: Sendable {
    public let role: WebSocketRole
    private var keys = MaskingKeySource()

    public init(role: WebSocketRole) { self.role = role }

    /// A header for our role, with a fresh masking key if we are a client.
    ///
    /// For callers that lay out header and payload themselves: they also call `applyMask` if `mask` is set.
    public mutating func header(
        _ opcode: Opcode, isFinal: Bool = true, isCompressed: Bool = false, payloadLength: Int
    ) -> FrameHeader {
        precondition(
            !opcode.isControl || isFinal && !isCompressed && payloadLength <= FrameHeader.maxControlPayload,
            "control frames are short and whole")
        return FrameHeader(
            opcode, isFinal: isFinal, isCompressed: isCompressed, payloadLength: payloadLength,
            mask: role == .client ? keys.next() : nil)
    }

    /// Appends one frame.
    ///
    /// - Parameter isFinal: `false` if continuation frames follow. A control frame is always final and its payload at
    ///   most 125 bytes; anything else is a programming error and traps.
    /// - Parameter isCompressed: set on the first frame of a message whose payload `PerMessageDeflate` made.
    package mutating func append(
        _ opcode: Opcode, isFinal: Bool = true, isCompressed: Bool = false, payload: UnsafeRawBufferPointer,
        to buffer: inout ByteBuffer
    ) {
        let header = header(opcode, isFinal: isFinal, isCompressed: isCompressed, payloadLength: payload.count)
        _ = buffer.append(atMost: header.size + payload.count) { room in
            let size = header.write(into: room)
            let body = UnsafeMutableRawBufferPointer(rebasing: room[size..<size + payload.count])
            body.copyMemory(from: payload)
            if let key = header.mask { applyMask(key, to: body) }
            return size + payload.count
        }
    }

    /// Appends one frame; see the other form.
    public mutating func append(
        _ opcode: Opcode, isFinal: Bool = true, isCompressed: Bool = false, payload: Span<UInt8>,
        to buffer: inout ByteBuffer
    ) {
        payload.withUnsafeBytes {
            append(opcode, isFinal: isFinal, isCompressed: isCompressed, payload: $0, to: &buffer)
        }
    }

    /// Appends a Close frame (RFC 6455 §5.5.1).
    ///
    /// - Parameter code: `nil`, or a code that never travels such as 1005, makes a Close frame without a payload.
    /// - Parameter reason: cut to what fits, 123 bytes, at the end of a character.
    public mutating func appendClose(_ code: CloseCode?, reason: String = "", to buffer: inout ByteBuffer) {
        guard let code, code.isValidOnTheWire else {
            return append(.close, payload: UnsafeRawBufferPointer(start: nil, count: 0), to: &buffer)
        }
        var payload = [UInt8(code.rawValue >> 8), UInt8(truncatingIfNeeded: code.rawValue)]
        for scalar in reason.unicodeScalars {
            guard payload.count + UTF8.width(scalar) <= FrameHeader.maxControlPayload else { break }
            payload.append(contentsOf: scalar.utf8)
        }
        append(.close, payload: payload.span, to: &buffer)
    }
}
