import Testing
import TunnelCore

@Suite struct FrameDecoderTests {
    private static func hello(_ text: String) -> [UInt8] { Array(text.utf8) }

    /// The examples of RFC 6455 §5.7, byte for byte.
    static let examples: [(bytes: [UInt8], role: WebSocketRole, records: [Record])] = [
        (
            [0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F], .client,
            [.message(hello("Hello"), .text, isCompressed: false, isWhole: true)]
        ),
        (
            [0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58], .server,
            [.message(hello("Hello"), .text, isCompressed: false, isWhole: true)]
        ),
        (
            [0x01, 0x03, 0x48, 0x65, 0x6C, 0x80, 0x02, 0x6C, 0x6F], .client,
            [.message(hello("Hello"), .text, isCompressed: false, isWhole: true)]
        ),
        ([0x89, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F], .client, [.ping(hello("Hello"))]),
        (
            [0x8A, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58], .server, [.pong(hello("Hello"))]
        ),
        (
            [0x82, 0x7E, 0x01, 0x00] + [UInt8](repeating: 7, count: 256), .client,
            [.message([UInt8](repeating: 7, count: 256), .binary, isCompressed: false, isWhole: true)]
        ),
        (
            [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0] + [UInt8](repeating: 8, count: 65_536), .client,
            [.message([UInt8](repeating: 8, count: 65_536), .binary, isCompressed: false, isWhole: true)]
        ),
    ]

    @Test(arguments: examples.indices) func rfcExamples(_ index: Int) {
        let row = Self.examples[index]
        #expect(FrameRecorder.records(FrameDecoder(role: row.role), row.bytes) == row.records)
    }

    /// A stream with everything in it: fragments, control frames between them, empty frames, compression.
    private static func mixed(from sender: WebSocketRole) -> (bytes: [UInt8], records: [Record]) {
        let long = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let parts: [[UInt8]] = [
            frame(.binary, [1, 2, 3], from: sender), frame(.ping, [], from: sender),
            frame(.text, hello("par"), isFinal: false, from: sender),
            frame(.continuation, [], isFinal: false, from: sender), frame(.ping, hello("between"), from: sender),
            frame(.continuation, hello("t"), isFinal: false, from: sender),
            frame(.pong, long.dropLast(175), from: sender), frame(.continuation, [], from: sender),
            frame(.binary, [], from: sender), frame(.binary, long, isCompressed: true, from: sender),
            frame(.text, [], isFinal: false, from: sender), frame(.continuation, hello("x"), from: sender),
            frame(.close, [0x03, 0xE8] + hello("bye ✓"), from: sender), frame(.binary, [9], from: sender),
        ]
        return (
            parts.flatMap(\.self),
            [
                .message([1, 2, 3], .binary, isCompressed: false, isWhole: true), .ping([]), .ping(hello("between")),
                .pong(long.dropLast(175)), .message(hello("part"), .text, isCompressed: false, isWhole: true),
                .message([], .binary, isCompressed: false, isWhole: true),
                .message(long, .binary, isCompressed: true, isWhole: true),
                .message(hello("x"), .text, isCompressed: false, isWhole: true), .close(.normal, hello("bye ✓")),
            ]
        )
    }

    /// The same records whether the stream comes whole, in two parts, byte by byte, or in random parts.
    @Test(arguments: [WebSocketRole.client, .server]) func anySplitAgrees(_ sender: WebSocketRole) {
        let (bytes, records) = Self.mixed(from: sender)
        let decoder = FrameDecoder(role: sender == .client ? .server : .client, allowsCompression: true)
        #expect(FrameRecorder.records(decoder, bytes) == records)
        for split in 0...bytes.count {
            #expect(FrameRecorder.records(decoder, bytes, splits: [split]) == records)
        }
        #expect(FrameRecorder.records(decoder, bytes, splits: Array(1..<bytes.count)) == records)
        for _ in 0..<200 {
            let splits = (0..<Int.random(in: 1...40)).map { _ in Int.random(in: 0...bytes.count) }.sorted()
            #expect(FrameRecorder.records(decoder, bytes, splits: splits) == records, "\(splits)")
        }
    }

    /// A stream, the code it fails with, and the rule. Fails alike however it is split.
    static let malformed: [(bytes: [UInt8], code: CloseCode, rule: String)] = [
        (frame(.continuation, [1]), .protocolError, "continuation first"),
        (frame(.text, [0x61], isFinal: false) + frame(.text, [0x61]), .protocolError, "text inside text"),
        (frame(.text, [0x61], isFinal: false) + frame(.binary), .protocolError, "binary inside text"),
        (frame(.binary, []) + frame(.continuation), .protocolError, "continuation of an ended message"),
        (frame(.ping) + [0x09, 0x80], .protocolError, "fragmented ping"),
        (frame(.binary, [1, 2]) + [0x82, 0x00], .protocolError, "second frame not masked"),
        (frame(.close, [0x03]), .protocolError, "close payload of one byte"),
        (frame(.close, [0x03, 0xED]), .protocolError, "close code 1005"),
        (frame(.close, [0x03, 0xE7]), .protocolError, "close code 999"),
        (frame(.close, [0x13, 0x88]), .protocolError, "close code 5000"),
        (frame(.close, [0x03, 0xE8, 0xFF]), .invalidPayload, "reason not UTF-8"),
        (frame(.close, [0x03, 0xE8, 0xE2, 0x9C]), .invalidPayload, "reason cut in a character"),
        (frame(.binary, [UInt8](repeating: 0, count: 2001)), .messageTooBig, "frame over the limit"),
    ]

    @Test(arguments: malformed) func refuses(_ row: (bytes: [UInt8], code: CloseCode, rule: String)) {
        let decoder = FrameDecoder(role: .server, maxFramePayload: 2000)
        let whole = FrameRecorder.records(decoder, row.bytes)
        #expect(whole.last == .error(row.code), "\(row.rule)")
        for split in 0...min(row.bytes.count, 300) {
            #expect(FrameRecorder.records(decoder, row.bytes, splits: [split]) == whole, "\(row.rule) at \(split)")
        }
        #expect(FrameRecorder.records(decoder, row.bytes, splits: Array(0..<row.bytes.count)) == whole)
    }

    @Test func frameLimitIsExact() {
        let decoder = FrameDecoder(role: .server, maxFramePayload: 130)
        let allowed = [UInt8](repeating: 1, count: 130)
        #expect(
            FrameRecorder.records(decoder, frame(.binary, allowed))
                == [.message(allowed, .binary, isCompressed: false, isWhole: true)])
        #expect(FrameRecorder.records(decoder, frame(.binary, allowed + [1])) == [.error(.messageTooBig)])
    }

    /// A header alone is taken at once, so that what is left over stays small.
    @Test func takesHeadersWithoutPayload() throws {
        var decoder = FrameDecoder(role: .client)
        var bytes: [UInt8] = [0x82, 0x7E, 0x01, 0x00]
        let step = try decoder.next(&bytes)
        #expect(step == FrameDecoder.Step(consumed: 4, event: .needMore) && decoder.isInsideMessage)
    }

    @Test func waitsForWholeControlFrames() throws {
        var bytes = frame(.ping, [UInt8](repeating: 3, count: 125))
        bytes.removeLast()
        #expect(bytes.count == FrameDecoder.maxUnconsumed)
        var decoder = FrameDecoder(role: .server)
        let before = bytes
        let step = try decoder.next(&bytes)
        // Nothing is unmasked yet: the bytes come again.
        #expect(step == FrameDecoder.Step(consumed: 0, event: .needMore) && bytes == before)
    }

    @Test func nothingIsNeedMore() throws {
        var decoder = FrameDecoder(role: .server)
        let step = try decoder.next(UnsafeMutableRawBufferPointer(start: nil, count: 0))
        #expect(step == FrameDecoder.Step(consumed: 0, event: .needMore))
    }

    @Test func ignoresWhatFollowsClose() throws {
        let bytes = frame(.close) + [0xFF, 0xFF, 0xFF]
        #expect(FrameRecorder.records(FrameDecoder(role: .server), bytes) == [.close(nil, [])])
    }
}
