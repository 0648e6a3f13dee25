import Testing

@testable import TunnelCore

/// What a stream of frames said, with pieces of one payload joined: where they are cut is up to the reads.
struct HTTP2FrameStory: Equatable {
    var events: [String] = []
    var error: HTTP2ErrorCode?

    /// - Parameter step: bytes that come at a time.
    init(_ decoder: HTTP2FrameDecoder, _ stream: [UInt8], step: Int) {
        var decoder = decoder
        var area: [UInt8] = []
        var fed = 0
        var payload: [UInt8] = []
        do throws(HTTP2Error) {
            while fed < stream.count {
                let count = min(step, stream.count - fed)
                area += stream[fed..<fed + count]
                fed += count
                var position = 0
                while true {
                    let event = try decoder.next(in: area.span, at: &position)
                    if event == .needMore { break }
                    switch event {
                    case .payload(let range, let endsFrame):
                        payload += area[range]
                        if endsFrame { events.append("payload \(payload)") }
                        if endsFrame { payload = [] }
                    case .fragment(let range, let endsBlock):
                        payload += area[range]
                        if endsBlock { events.append("block \(payload)") }
                        if endsBlock { payload = [] }
                    case .priorityUpdate(let stream, let range): events.append("update \(stream) \(area[range])")
                    default: events.append("\(event)")
                    }
                }
                area.removeFirst(position)
                #expect(area.count <= HTTP2FrameDecoder.maxUnconsumed)
            }
        } catch { self.error = error.code }
    }
}

@Suite struct HTTP2FrameTests {
    static func frame(_ type: HTTP2FrameType, _ flags: HTTP2Flags = [], _ stream: UInt32, _ payload: [UInt8] = [])
        -> [UInt8]
    {
        var out = ByteBuffer()
        HTTP2FrameHeader(type, flags: flags, stream: stream, length: payload.count).append(to: &out)
        return out.array + payload
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var section: String
        var bytes: [UInt8]
        var code: HTTP2ErrorCode
        var isServer = true

        init(_ section: String, _ code: HTTP2ErrorCode, _ bytes: [UInt8], isServer: Bool = true) {
            (self.section, self.code, self.bytes, self.isServer) = (section, code, bytes, isServer)
        }

        var testDescription: String { section }
    }

    private static let headers = frame(.headers, [], 1, [0x82])

    /// RFC 9113 by section: what no frame may be, whatever the state of its stream. Fatal for the connection.
    static let malformed = [
        Row("4.2 DATA over the maximum", .frameSizeError, frame(.data, [], 1, [UInt8](repeating: 0, count: 16_385))),
        Row("4.2 HEADERS over the maximum", .frameSizeError, [0, 0x40, 1, 1, 4, 0, 0, 0, 1]),
        Row("4.2 unknown over the maximum", .frameSizeError, [0xFF, 0xFF, 0xFF, 0x77, 0, 0, 0, 0, 1]),
        Row("6.1 DATA on stream 0", .protocolError, frame(.data, [], 0, [1])),
        Row("6.1 padding as long as the payload", .protocolError, frame(.data, .padded, 1, [1])),
        Row("6.1 padding over the payload", .protocolError, frame(.data, .padded, 1, [5, 1, 2, 3])),
        Row("6.1 padded and empty", .frameSizeError, frame(.data, .padded, 1)),
        Row("6.2 HEADERS on stream 0", .protocolError, frame(.headers, .endHeaders, 0, [0x82])),
        Row("6.2 padding over the block", .protocolError, frame(.headers, [.endHeaders, .padded], 1, [2, 0x82])),
        Row("6.2 padded and empty", .frameSizeError, frame(.headers, [.endHeaders, .padded], 1)),
        Row(
            "6.2 too short for its priority", .frameSizeError,
            frame(.headers, [.endHeaders, .priority], 1, [0, 0, 0, 0])),
        Row(
            "6.2 too short for both", .frameSizeError,
            frame(.headers, [.endHeaders, .priority, .padded], 1, [0, 0, 0, 0, 0])),
        Row("6.2 HEADERS inside a block", .protocolError, headers + headers),
        Row("6.2 DATA inside a block", .protocolError, headers + frame(.data, [], 1, [1])),
        Row("6.2 block of another stream", .protocolError, headers + frame(.headers, .endHeaders, 3, [0x82])),
        Row("6.3 PRIORITY on stream 0", .protocolError, frame(.priority, [], 0, [0, 0, 0, 0, 0])),
        Row("6.3 PRIORITY inside a block", .protocolError, headers + frame(.priority, [], 1, [0, 0, 0, 0, 0])),
        Row("6.4 RST_STREAM on stream 0", .protocolError, frame(.resetStream, [], 0, [0, 0, 0, 8])),
        Row("6.4 RST_STREAM of 3 bytes", .frameSizeError, frame(.resetStream, [], 1, [0, 0, 8])),
        Row("6.4 RST_STREAM of 5 bytes", .frameSizeError, frame(.resetStream, [], 1, [0, 0, 0, 0, 8])),
        Row("6.5 SETTINGS on a stream", .protocolError, frame(.settings, [], 1)),
        Row("6.5 acknowledgement with payload", .frameSizeError, frame(.settings, .ack, 0, [0, 3, 0, 0, 0, 1])),
        Row("6.5 SETTINGS of 3 bytes", .frameSizeError, frame(.settings, [], 0, [0, 3, 0])),
        Row("6.5.2 ENABLE_PUSH 2", .protocolError, frame(.settings, [], 0, [0, 2, 0, 0, 0, 2])),
        Row(
            "6.5.2 ENABLE_PUSH by a server", .protocolError, frame(.settings, [], 0, [0, 2, 0, 0, 0, 1]),
            isServer: false),
        Row("6.5.2 window over 2^31-1", .flowControlError, frame(.settings, [], 0, [0, 4, 0x80, 0, 0, 0])),
        Row("6.5.2 frame size 16383", .protocolError, frame(.settings, [], 0, [0, 5, 0, 0, 0x3F, 0xFF])),
        Row("6.5.2 frame size 2^24", .protocolError, frame(.settings, [], 0, [0, 5, 1, 0, 0, 0])),
        Row("8441 3 ENABLE_CONNECT_PROTOCOL 2", .protocolError, frame(.settings, [], 0, [0, 8, 0, 0, 0, 2])),
        Row("9218 2.1 NO_RFC7540_PRIORITIES 2", .protocolError, frame(.settings, [], 0, [0, 9, 0, 0, 0, 2])),
        Row("6.6 PUSH_PROMISE by a client", .protocolError, frame(.pushPromise, .endHeaders, 1, [0, 0, 0, 2])),
        Row("6.6 PUSH_PROMISE", .protocolError, frame(.pushPromise, .endHeaders, 1, [0, 0, 0, 2]), isServer: false),
        Row("6.7 PING on a stream", .protocolError, frame(.ping, [], 1, [UInt8](repeating: 0, count: 8))),
        Row("6.7 PING of 7 bytes", .frameSizeError, frame(.ping, [], 0, [UInt8](repeating: 0, count: 7))),
        Row("6.7 PING of 9 bytes", .frameSizeError, frame(.ping, .ack, 0, [UInt8](repeating: 0, count: 9))),
        Row("6.8 GOAWAY on a stream", .protocolError, frame(.goAway, [], 1, [UInt8](repeating: 0, count: 8))),
        Row("6.8 GOAWAY of 7 bytes", .frameSizeError, frame(.goAway, [], 0, [UInt8](repeating: 0, count: 7))),
        Row("6.9 WINDOW_UPDATE of 3 bytes", .frameSizeError, frame(.windowUpdate, [], 0, [0, 0, 1])),
        Row("6.9 WINDOW_UPDATE of 5 bytes", .frameSizeError, frame(.windowUpdate, [], 1, [0, 0, 0, 0, 1])),
        Row("6.9 WINDOW_UPDATE by 0", .protocolError, frame(.windowUpdate, [], 0, [0, 0, 0, 0])),
        Row("6.9 by 0, reserved bit set", .protocolError, frame(.windowUpdate, [], 0, [0x80, 0, 0, 0])),
        Row("6.10 CONTINUATION on stream 0", .protocolError, frame(.continuation, .endHeaders, 0, [0x82])),
        Row("6.10 CONTINUATION of no block", .protocolError, frame(.continuation, .endHeaders, 1, [0x82])),
        Row("6.10 of another stream", .protocolError, headers + frame(.continuation, .endHeaders, 3, [0x82])),
        Row(
            "6.10 behind the end of the block", .protocolError,
            frame(.headers, .endHeaders, 1, [0x82]) + frame(.continuation, .endHeaders, 1)),
        Row("6.10 PING inside a block", .protocolError, headers + frame(.ping, [], 0, [UInt8](repeating: 0, count: 8))),
        Row("6.10 SETTINGS inside a block", .protocolError, headers + frame(.settings, [], 0)),
        Row("5.5 unknown frame inside a block", .protocolError, headers + frame(HTTP2FrameType(rawValue: 0x77), [], 1)),
        Row(
            "6.10 nine CONTINUATION", .enhanceYourCalm,
            headers + (0..<9).flatMap { _ in frame(.continuation, [], 1) }),
        Row("6.5 33 settings", .enhanceYourCalm, frame(.settings, [], 0, [UInt8](repeating: 0, count: 33 * 6))),
        Row("9218 7.1 PRIORITY_UPDATE on a stream", .protocolError, frame(.priorityUpdate, [], 1, [0, 0, 0, 1])),
        Row("9218 7.1 of stream 0", .protocolError, frame(.priorityUpdate, [], 0, [0, 0, 0, 0])),
        Row("9218 7.1 of 3 bytes", .frameSizeError, frame(.priorityUpdate, [], 0, [0, 0, 0])),
        Row("9218 7.1 from a server", .protocolError, frame(.priorityUpdate, [], 0, [0, 0, 0, 1]), isServer: false),
    ]

    @Test(arguments: malformed) func refuses(_ row: Row) {
        let decoder = HTTP2FrameDecoder(isServer: row.isServer)
        for step in [1, 4, row.bytes.count] {
            #expect(
                HTTP2FrameStory(decoder, row.bytes, step: step).error == row.code, "\(row.section), \(step) at a time")
        }
    }

    static let wellFormed: [(bytes: [UInt8], events: [String])] = [
        (
            frame(.data, .endStream, 1, [1, 2, 3]),
            ["data(stream: 1, length: 3, payload: 3, endsStream: true)", "payload [1, 2, 3]"]
        ),
        (
            frame(.data, [], 0x8000_0001, []),
            ["data(stream: 1, length: 0, payload: 0, endsStream: false)", "payload []"]
        ),
        (
            frame(.data, .padded, 3, [2, 7, 0, 0]),
            ["data(stream: 3, length: 4, payload: 1, endsStream: false)", "payload [7]"]
        ),
        (
            frame(.data, .padded, 3, [3, 0, 0, 0]),
            ["data(stream: 3, length: 4, payload: 0, endsStream: false)", "payload []"]
        ),
        (
            frame(.headers, [.endStream, .padded, .priority], 1, [1, 0, 0, 0, 3, 9, 0x82, 0])
                + frame(.continuation, [], 1)
                + frame(.continuation, .endHeaders, 1, [0x84]),
            ["headers(stream: 1, endsStream: true, dependsOnItself: false)", "block [130, 132]"]
        ),
        (
            frame(.headers, [.endHeaders, .priority], 1, [0x80, 0, 0, 1, 9]),
            ["headers(stream: 1, endsStream: false, dependsOnItself: true)", "block []"]
        ),
        (frame(.priority, [], 5, [0, 0, 0, 3, 9]), ["priority(stream: 5)"]),
        (frame(.priorityUpdate, [], 0, [0, 0, 0, 5, 0x75, 0x3D, 0x31]), ["update 5 [117, 61, 49]"]),
        (frame(.priorityUpdate, [], 0, [0, 0, 0, 5] + [UInt8](repeating: 0x20, count: 129)), ["update 5 []"]),
        (
            frame(HTTP2FrameType(rawValue: 0x77), [.init(rawValue: 0xFF)], 0, [1, 2]),
            ["unknown(TunnelCore.HTTP2FrameType(rawValue: 119))"]
        ),
        (frame(.settings, .ack, 0), ["settingsAck"]),
        (frame(.ping, .ack, 0, [0, 0, 0, 0, 0, 0, 1, 2]), ["ping(258, isAck: true)"]),
        (frame(.goAway, [], 0, [0, 0, 0, 9, 0, 0, 0, 11, 1, 2, 3]), ["goAway(lastStream: 9, ENHANCE_YOUR_CALM)"]),
        (frame(.resetStream, [], 7, [0, 0, 0, 8]), ["reset(stream: 7, CANCEL)"]),
        (frame(.windowUpdate, [], 7, [0x80, 0, 1, 0]), ["windowUpdate(stream: 7, 256)"]),
        (
            frame(.settings, [], 0, [0, 4, 0x7F, 0xFF, 0xFF, 0xFF, 0xAB, 0, 0, 0, 0, 1]),
            [
                "setting(TunnelCore.HTTP2Setting(rawValue: 4), 2147483647)",
                "setting(TunnelCore.HTTP2Setting(rawValue: 43776), 1)", "endOfSettings",
            ]
        ),
    ]

    /// Errors of a stream only: the connection goes on.
    static let streamErrors: [(bytes: [UInt8], code: HTTP2ErrorCode)] = [
        (frame(.priority, [], 5, [0, 0, 0, 3]), .frameSizeError),
        (frame(.priority, [], 5, [0, 0, 0, 5, 1]), .protocolError),
        (frame(.windowUpdate, [], 5, [0, 0, 0, 0]), .protocolError),
    ]

    @Test(arguments: wellFormed) func reads(_ row: (bytes: [UInt8], events: [String])) {
        let ping = Self.frame(.ping, [], 0, [UInt8](repeating: 0, count: 8))
        for step in 1...row.bytes.count {
            let story = HTTP2FrameStory(HTTP2FrameDecoder(isServer: true), row.bytes + ping, step: step)
            #expect(story.error == nil && story.events == row.events + ["ping(0, isAck: false)"], "\(step) at a time")
        }
    }

    @Test(arguments: streamErrors) func reportsErrorsOfAStream(_ row: (bytes: [UInt8], code: HTTP2ErrorCode)) throws {
        var decoder = HTTP2FrameDecoder(isServer: true)
        var position = 0
        let event = try decoder.next(in: row.bytes.span, at: &position)
        #expect(event == .streamError(stream: 5, HTTP2Error(code: row.code, reason: "")))
        #expect(try decoder.next(in: row.bytes.span, at: &position) == .needMore)
        #expect(position == row.bytes.count)
    }

    @Test func takesEightContinuationsAnd32Settings() {
        let block = Self.headers + (0..<8).flatMap { Self.frame(.continuation, $0 == 7 ? .endHeaders : [], 1) }
        let settings = Self.frame(.settings, [], 0, [UInt8](repeating: 0, count: 32 * 6))
        let story = HTTP2FrameStory(HTTP2FrameDecoder(isServer: true), block + settings, step: 100)
        #expect(story.error == nil && story.events.count == 35)
    }

    /// A block that is longer than a frame goes on in CONTINUATION, without gaps.
    @Test(arguments: [0, 1, 9, 10, 11, 19, 20, 21, 95]) func writesHeaders(_ count: Int) {
        let block = (0..<count).map { UInt8($0) }
        for endsStream in [false, true] {
            var out = ByteBuffer()
            out.append("ahead")
            let start = out.beginHeaders()
            out.append(block)
            out.endHeaders(from: start, stream: 5, endsStream: endsStream, maxFrameSize: 10)
            let bytes = Array(out.array[5...])
            let story = HTTP2FrameStory(
                HTTP2FrameDecoder(isServer: true, maxContinuations: 20), bytes, step: bytes.count)
            #expect(
                story.events == [
                    "headers(stream: 5, endsStream: \(endsStream), dependsOnItself: false)", "block \(block)",
                ])
            #expect(bytes.count == block.count + 9 * max(1, (count + 9) / 10))
        }
    }

    @Test func writesShortFrames() {
        var out = ByteBuffer()
        HTTP2FrameHeader.appendReset(3, .cancel, to: &out)
        HTTP2FrameHeader.appendSettingsAck(to: &out)
        HTTP2FrameHeader.appendPing(0x0102_0304_0506_0708, isAck: true, to: &out)
        HTTP2FrameHeader.appendGoAway(lastStream: 7, .noError, to: &out)
        HTTP2FrameHeader.appendWindowUpdate(3, by: 1 << 31 - 1, to: &out)
        let story = HTTP2FrameStory(HTTP2FrameDecoder(isServer: true), out.array, step: 3)
        #expect(
            story.events == [
                "reset(stream: 3, CANCEL)", "settingsAck", "ping(72623859790382856, isAck: true)",
                "goAway(lastStream: 7, NO_ERROR)", "windowUpdate(stream: 3, 2147483647)",
            ])
    }
}
