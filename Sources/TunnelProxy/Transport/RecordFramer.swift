internal import TunnelCore

/// Puts TLS records into binary frames where TLS writes them: room for the header is left first, and the header is written
/// when the length is known, so the records are not copied.
struct RecordFramer {
    var encoder: FrameEncoder

    init(role: WebSocketRole) { encoder = FrameEncoder(role: role) }

    /// The usual header: two bytes and a 16-bit length, which is what every frame of 126 to 65,535 bytes has
    /// (RFC 6455 §5.2), and a client's masking key.
    private var reserved: Int { encoder.role == .server ? 4 : 8 }

    /// Leaves room for a header.
    ///
    /// - Returns: what ``finish(_:_:)`` wants.
    func begin(_ output: inout ByteBuffer) -> Int {
        let mark = output.count
        output.append(encoder.role == .server ? "\0\0\0\0" : "\0\0\0\0\0\0\0\0")
        return mark
    }

    /// Makes a frame of what was appended since; nothing, if that is nothing.
    mutating func finish(_ mark: Int, _ output: inout ByteBuffer) {
        let reserved = reserved
        let length = output.count - mark - reserved
        guard length > 0 else { return output.truncate(to: mark) }
        let header = encoder.header(.binary, payloadLength: length)
        let shift = header.size - reserved
        if shift > 0 { output.append([UInt8](repeating: 0, count: shift)) }
        output.withMutableBytes { bytes in
            guard let start = bytes.baseAddress.map({ $0 + mark }) else { return }
            // SAFETY: header and payload lie within `bytes`, which `shift` has just made long enough.
            let payload = UnsafeMutableRawBufferPointer(start: start + header.size, count: length)
            if shift != 0 { payload.baseAddress?.copyMemory(from: start + reserved, byteCount: length) }
            _ = header.write(into: UnsafeMutableRawBufferPointer(start: start, count: header.size))
            if let mask = header.mask { applyMask(mask, to: payload) }
        }
        if shift < 0 { output.truncate(to: mark + header.size + length) }
    }
}
