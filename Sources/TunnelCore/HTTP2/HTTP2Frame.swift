/// The types of frames (RFC 9113 §6, RFC 9218 §7.1). A peer may send others, which are ignored (RFC 9113 §5.5).
package struct HTTP2FrameType: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let data = HTTP2FrameType(rawValue: 0)
    package static let headers = HTTP2FrameType(rawValue: 1)
    package static let priority = HTTP2FrameType(rawValue: 2)
    package static let resetStream = HTTP2FrameType(rawValue: 3)
    package static let settings = HTTP2FrameType(rawValue: 4)
    package static let pushPromise = HTTP2FrameType(rawValue: 5)
    package static let ping = HTTP2FrameType(rawValue: 6)
    package static let goAway = HTTP2FrameType(rawValue: 7)
    package static let windowUpdate = HTTP2FrameType(rawValue: 8)
    package static let continuation = HTTP2FrameType(rawValue: 9)
    package static let priorityUpdate = HTTP2FrameType(rawValue: 16)
}

/// The flags of frames; what a bit means depends on the type.
package struct HTTP2Flags: OptionSet, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// DATA, HEADERS: nothing follows in this direction of the stream.
    package static let endStream = HTTP2Flags(rawValue: 0x1)
    /// SETTINGS, PING.
    package static let ack = HTTP2Flags(rawValue: 0x1)
    /// HEADERS, CONTINUATION: the header block ends.
    package static let endHeaders = HTTP2Flags(rawValue: 0x4)
    /// DATA, HEADERS.
    package static let padded = HTTP2Flags(rawValue: 0x8)
    /// HEADERS.
    package static let priority = HTTP2Flags(rawValue: 0x20)
}

/// The nine bytes ahead of each payload (RFC 9113 §4.1).
package struct HTTP2FrameHeader: Equatable, Sendable {
    package static let size = 9
    /// What every endpoint takes, and the least that SETTINGS_MAX_FRAME_SIZE may be (§6.5.2).
    package static let minMaxFrameSize = 16_384
    /// The greatest.
    package static let maxMaxFrameSize = 1 << 24 - 1
    static let maxStream: UInt32 = 1 << 31 - 1

    /// Bytes of payload, below 2²⁴.
    package var length: Int
    package var type: HTTP2FrameType
    package var flags: HTTP2Flags
    /// Below 2³¹; 0 is the connection.
    package var stream: UInt32

    package init(_ type: HTTP2FrameType, flags: HTTP2Flags = [], stream: UInt32, length: Int) {
        self.length = length
        self.type = type
        self.flags = flags
        self.stream = stream
    }

    /// Decodes the header at `position`; nothing about it is checked. The reserved bit is ignored.
    ///
    /// - Returns: `nil` if fewer than nine bytes are there.
    package static func decode(_ bytes: Span<UInt8>, at position: Int = 0) -> HTTP2FrameHeader? {
        guard bytes.count - position >= size else { return nil }
        return HTTP2FrameHeader(
            HTTP2FrameType(rawValue: bytes[position + 3]), flags: HTTP2Flags(rawValue: bytes[position + 4]),
            stream: bytes.bigEndian32(at: position + 5) & maxStream, length: Int(bytes.bigEndian32(at: position) >> 8))
    }

    /// Appends the header.
    package func append(to out: inout ByteBuffer) {
        _ = out.append(atMost: Self.size) { room in
            write(to: room)
            return Self.size
        }
    }

    fileprivate func write(to room: UnsafeMutableRawBufferPointer, at position: Int = 0) {
        let word = (UInt32(truncatingIfNeeded: length) &<< 8 | UInt32(type.rawValue)).bigEndian
        room.storeBytes(of: word, toByteOffset: position, as: UInt32.self)
        room.storeBytes(of: flags.rawValue, toByteOffset: position + 4, as: UInt8.self)
        room.storeBytes(of: stream.bigEndian, toByteOffset: position + 5, as: UInt32.self)
    }
}

/// Writes whole frames that are short (RFC 9113 §6).
extension HTTP2FrameHeader {
    /// RST_STREAM (§6.4).
    package static func appendReset(_ stream: UInt32, _ code: HTTP2ErrorCode, to out: inout ByteBuffer) {
        HTTP2FrameHeader(.resetStream, stream: stream, length: 4).append(to: &out)
        out.appendBigEndian(code.rawValue)
    }

    /// The acknowledgement of SETTINGS (§6.5.3).
    package static func appendSettingsAck(to out: inout ByteBuffer) {
        HTTP2FrameHeader(.settings, flags: .ack, stream: 0, length: 0).append(to: &out)
    }

    /// PING (§6.7).
    package static func appendPing(_ opaque: UInt64, isAck: Bool, to out: inout ByteBuffer) {
        HTTP2FrameHeader(.ping, flags: isAck ? .ack : [], stream: 0, length: 8).append(to: &out)
        out.appendBigEndian(UInt32(truncatingIfNeeded: opaque >> 32))
        out.appendBigEndian(UInt32(truncatingIfNeeded: opaque))
    }

    /// GOAWAY without debug data (§6.8).
    package static func appendGoAway(lastStream: UInt32, _ code: HTTP2ErrorCode, to out: inout ByteBuffer) {
        HTTP2FrameHeader(.goAway, stream: 0, length: 8).append(to: &out)
        out.appendBigEndian(lastStream)
        out.appendBigEndian(code.rawValue)
    }

    /// WINDOW_UPDATE (§6.9) by 1...2³¹-1 bytes.
    package static func appendWindowUpdate(_ stream: UInt32, by increment: Int, to out: inout ByteBuffer) {
        HTTP2FrameHeader(.windowUpdate, stream: stream, length: 4).append(to: &out)
        out.appendBigEndian(UInt32(truncatingIfNeeded: increment))
    }
}

extension ByteBuffer {
    mutating func appendBigEndian(_ value: UInt32) {
        _ = append(atMost: 4) { room in
            room.storeBytes(of: value.bigEndian, as: UInt32.self)
            return 4
        }
    }

    /// Leaves room for the header of a HEADERS frame, whose block is appended next.
    ///
    /// - Returns: where it begins, for ``endHeaders(from:stream:endsStream:maxFrameSize:)``.
    mutating func beginHeaders() -> Int {
        let start = count
        // What is in it is written at the end; until then it is no other memory that shows.
        HTTP2FrameHeader(.headers, stream: 0, length: 0).append(to: &self)
        return start
    }

    /// Makes HEADERS, and as many CONTINUATION frames as are needed, of the block that was appended (§6.2, §6.10).
    mutating func endHeaders(from start: Int, stream: UInt32, endsStream: Bool, maxFrameSize: Int) {
        let first = start + HTTP2FrameHeader.size
        let total = count - first
        let frames = max(1, (total + maxFrameSize - 1) / maxFrameSize)
        // Room for the headers of the frames behind the first, whose pieces move back, the last one first.
        for _ in 0..<(frames - 1) * HTTP2FrameHeader.size { append(0) }
        for number in (0..<frames).reversed() {
            let size = min(maxFrameSize, total - number * maxFrameSize)
            let place = first + number * (maxFrameSize + HTTP2FrameHeader.size)
            move(size, from: first + number * maxFrameSize, to: place)
            var flags: HTTP2Flags = number == frames - 1 ? .endHeaders : []
            if number == 0, endsStream { flags.insert(.endStream) }
            write(
                HTTP2FrameHeader(number == 0 ? .headers : .continuation, flags: flags, stream: stream, length: size),
                at: place - HTTP2FrameHeader.size)
        }
    }

    private mutating func write(_ header: HTTP2FrameHeader, at position: Int) {
        withMutableBytes { header.write(to: $0, at: position) }
    }
}

extension Span<UInt8> {
    /// Four bytes as a number; they must be there.
    func bigEndian32(at position: Int) -> UInt32 {
        precondition(position >= 0 && count - position >= 4)
        return UInt32(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt32.self))
    }
}
