import Testing
import TunnelCore

@Suite struct FrameHeaderTests {
    /// RFC 6455 §5.2: every length class at its edges, as a server sends it.
    static let lengths: [(header: [UInt8], length: Int)] = [
        ([0x82, 0x00], 0), ([0x82, 0x01], 1), ([0x82, 0x7D], 125),
        ([0x82, 0x7E, 0x00, 0x7E], 126), ([0x82, 0x7E, 0x00, 0x7F], 127), ([0x82, 0x7E, 0xFF, 0xFF], 65_535),
        ([0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0], 65_536),
        ([0x82, 0x7F, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], .max),
    ]

    @Test(arguments: lengths) func decodesLength(_ row: (header: [UInt8], length: Int)) throws {
        let (header, size) = try #require(try FrameHeader.decode(row.header.span, role: .client))
        #expect(header == FrameHeader(.binary, payloadLength: row.length))
        #expect(size == row.header.count && header.size == size)
    }

    @Test(arguments: lengths) func encodesLength(_ row: (header: [UInt8], length: Int)) {
        var buffer = ByteBuffer()
        FrameHeader(.binary, payloadLength: row.length).encode(into: &buffer)
        #expect(buffer.array == row.header)
    }

    /// Any prefix is "need more", never an error and never a wrong answer.
    @Test(arguments: lengths) func waitsForTheWholeHeader(_ row: (header: [UInt8], length: Int)) throws {
        for count in row.header.indices {
            #expect(try FrameHeader.decode(Array(row.header[..<count]).span, role: .client) == nil)
        }
        let masked = [row.header[0], row.header[1] | 0x80] + row.header[2...] + [1, 2, 3, 4]
        for count in masked.indices {
            #expect(try FrameHeader.decode(Array(masked[..<count]).span, role: .server) == nil)
        }
        let (header, size) = try #require(try FrameHeader.decode(masked.span, role: .server))
        #expect(header.mask == MaskingKey(1, 2, 3, 4) && size == masked.count)
    }

    /// Random headers survive the way out and back in.
    @Test func roundTrip() throws {
        for _ in 0..<2_000 {
            let opcode = [Opcode.continuation, .text, .binary].randomElement() ?? .text
            let length = Int.random(in: 0...Int.max) >> Int.random(in: 0...62)
            let mask: MaskingKey? = Bool.random() ? MaskingKey(.random(in: 0...255), 2, .random(in: 0...255), 4) : nil
            let header = FrameHeader(
                opcode, isFinal: .random(), isCompressed: opcode != .continuation && .random(), payloadLength: length,
                mask: mask)
            var buffer = ByteBuffer()
            header.encode(into: &buffer)
            let decoded = try buffer.withBytes { bytes throws(WebSocketError) in
                try FrameHeader.decode(bytes, role: mask == nil ? .client : .server, allowsCompression: true)
            }
            #expect(decoded?.0 == header && decoded?.size == buffer.count && header.size == buffer.count)
        }
    }

    @Test func writesInFrontOfThePayload() {
        var room = [UInt8](repeating: 0xEE, count: FrameHeader.maxServerHeaderSize)
        let size = room.withUnsafeMutableBytes { FrameHeader(.binary, payloadLength: 300).write(atEndOf: $0) }
        #expect(size == 4 && room == [0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0x82, 0x7E, 0x01, 0x2C])
    }

    /// Each row breaks one rule, and its last byte is the first that can show it.
    static let malformed: [(bytes: [UInt8], role: WebSocketRole, code: CloseCode, rule: String)] =
        [0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF].map {
            ([0x80 | $0], .server, .protocolError, "reserved opcode \($0)")
        } + [
            ([0xC2], .server, .protocolError, "RSV1 without extension"),
            ([0xA2], .server, .protocolError, "RSV2"), ([0x92], .server, .protocolError, "RSV3"),
            ([0x08], .server, .protocolError, "fragmented close"),
            ([0x09], .server, .protocolError, "fragmented ping"),
            ([0x0A], .server, .protocolError, "fragmented pong"),
            ([0x82, 0x01], .server, .protocolError, "client frame not masked"),
            ([0x82, 0x81], .client, .protocolError, "server frame masked"),
            ([0x88, 0xFE], .server, .protocolError, "control frame of 126"),
            ([0x89, 0x7F], .client, .protocolError, "control frame of 127"),
            ([0x82, 0xFE, 0x00, 0x7D], .server, .protocolError, "125 in 16 bits"),
            ([0x82, 0x7E, 0x00, 0x00], .client, .protocolError, "0 in 16 bits"),
            ([0x82, 0x7F, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], .client, .protocolError, "65535 in 64 bits"),
            ([0x82, 0x7F, 0x80, 0, 0, 0, 0, 0, 0, 0], .client, .protocolError, "top bit of 64"),
            ([0x82, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], .client, .protocolError, "all bits of 64"),
        ]

    @Test(arguments: malformed)
    func refuses(_ row: (bytes: [UInt8], role: WebSocketRole, code: CloseCode, rule: String)) throws {
        #expect(throws: WebSocketError(code: row.code, reason: ""), "\(row.rule)") {
            _ = try FrameHeader.decode(row.bytes.span, role: row.role)
        }
        let prefix = Array(row.bytes.dropLast())
        #expect(try FrameHeader.decode(prefix.span, role: row.role) == nil, "\(row.rule)")
    }

    @Test func compressionBitOnlyOnFirstDataFrames() throws {
        let decoded = try FrameHeader.decode([0xC1, 0x00].span, role: .client, allowsCompression: true)
        #expect(decoded?.0.isCompressed == true)
        for first in [0xC0, 0xC8, 0xC9, 0xCA] as [UInt8] {
            #expect(throws: WebSocketError(code: .protocolError, reason: "")) {
                _ = try FrameHeader.decode([first, 0].span, role: .client, allowsCompression: true)
            }
        }
    }

    @Test func limitAllowsNAndRefusesOneMore() throws {
        let atLimit: [UInt8] = [0x82, 0x7E, 0x01, 0x00]
        #expect(try FrameHeader.decode(atLimit.span, role: .client, maxPayload: 256) != nil)
        #expect(throws: WebSocketError(code: .messageTooBig, reason: "")) {
            _ = try FrameHeader.decode(atLimit.span, role: .client, maxPayload: 255)
        }
        // A ping is not a message: its own limit is 125.
        #expect(try FrameHeader.decode([0x89, 0x7D].span, role: .client, maxPayload: 0) != nil)
    }
}
