/// Writes the chunked transfer coding (RFC 9112 §7.1). A chunk is its header, the payload, and a CRLF.
public enum ChunkedEncoding {
    /// The longest chunk header: 16 digits and CRLF.
    public static let maxHeaderSize = 18
    /// What follows the payload of each chunk.
    public static let payloadEnd: StaticString = "\r\n"

    /// Writes the header of a chunk directly in front of its payload.
    ///
    /// - Parameter size: bytes of payload. A size of 0 would end the body, so nothing is written for it.
    /// - Parameter end: where the payload begins; at least `maxHeaderSize` bytes before it are overwritten or left.
    /// - Returns: the bytes written.
    package static func writeHeader(size: Int, endingAt end: UnsafeMutableRawPointer) -> Int {
        guard size > 0 else { return 0 }
        // SAFETY: an Int has at most 16 hexadecimal digits, so the writes stay within maxHeaderSize bytes before `end`.
        (end - 1).storeBytes(of: HTTPByte.lineFeed, as: UInt8.self)
        (end - 2).storeBytes(of: HTTPByte.carriageReturn, as: UInt8.self)
        var written = 2
        var rest = size
        repeat {
            let digit = UInt8(truncatingIfNeeded: rest & 0xF)
            written += 1
            (end - written).storeBytes(of: digit < 10 ? 0x30 + digit : 0x37 + digit, as: UInt8.self)
            rest >>= 4
        } while rest > 0
        return written
    }

    /// Appends the header of a chunk of `size` bytes, or nothing if that is 0.
    public static func appendHeader(size: Int, into out: inout ByteBuffer) {
        _ = out.append(atMost: maxHeaderSize) { room in
            guard let start = room.baseAddress else { return 0 }
            let length = writeHeader(size: size, endingAt: start + maxHeaderSize)
            start.copyMemory(from: start + (maxHeaderSize - length), byteCount: length)
            return length
        }
    }

    /// Appends one whole chunk, or nothing if `payload` is empty.
    public static func appendChunk(_ payload: Span<UInt8>, into out: inout ByteBuffer) {
        guard !payload.isEmpty else { return }
        appendHeader(size: payload.count, into: &out)
        out.append(payload)
        out.append(payloadEnd)
    }

    /// Appends the last chunk and the trailer section.
    ///
    /// - Parameter trailers: field lines, each with its CRLF, as `BodyDecoder.trailers` has them.
    public static func appendEnd(trailers: [UInt8] = [], into out: inout ByteBuffer) {
        out.append("0\r\n")
        out.append(trailers)
        out.append("\r\n")
    }
}
