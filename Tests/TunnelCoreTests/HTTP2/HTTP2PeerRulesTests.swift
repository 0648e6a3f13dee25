import Testing

@testable import TunnelCore

private typealias H = HTTP2Harness
private func frame(_ type: HTTP2FrameType, _ flags: HTTP2Flags, _ stream: UInt32, _ payload: [UInt8] = []) -> [UInt8] {
    HTTP2FrameTests.frame(type, flags, stream, payload)
}

/// Every rule of RFC 9113 about a peer's frames that a server can see broken, by section. Rows of form alone are those of
/// `HTTP2FrameTests.malformed`, rows of requests those of `HTTP2RequestHeadTests.malformed`; both run here as well.
struct HTTP2PeerRule: Sendable, CustomTestStringConvertible {
    enum Outcome: Sendable, Equatable {
        case connection(HTTP2ErrorCode)
        case stream(UInt32, HTTP2ErrorCode)
        /// Not an error, and what is said instead.
        case fine([String])
    }

    var rule: String
    var bytes: [UInt8]
    var outcome: Outcome
    /// Without the preface and the settings ahead.
    var isRaw = false

    init(_ rule: String, _ outcome: Outcome, _ bytes: [UInt8]..., isRaw: Bool = false) {
        (self.rule, self.outcome, self.bytes, self.isRaw) = (rule, outcome, Array(bytes.joined()), isRaw)
    }

    var testDescription: String { rule }
}

@Suite struct HTTP2PeerRulesTests {
    private static let settings = H.settings()
    private static let openPost = H.post(1)
    private static let trailers = H.headers(1, ["x-a: b"])
    private static let goAway: [UInt8] = frame(.goAway, [], 0, [0, 0, 0, 0, 0, 0, 0, 0])

    static let rules: [HTTP2PeerRule] = [
        // 3.4 preface
        .init("3.4 not a preface", .connection(.protocolError), Array("GET / HTTP/1.1\r\n".utf8), isRaw: true),
        .init("3.4 wrong at its end", .connection(.protocolError), H.preface.dropLast() + [0x0B], isRaw: true),
        .init(
            "3.4 first frame is PING", .connection(.protocolError), H.preface,
            frame(.ping, [], 0, [0, 0, 0, 0, 0, 0, 0, 0]), isRaw: true),
        .init("3.4 first frame is HEADERS", .connection(.protocolError), H.preface, H.get(1), isRaw: true),
        .init(
            "3.4 first frame is an acknowledgement", .connection(.protocolError), H.preface, frame(.settings, .ack, 0),
            isRaw: true),
        .init("3.4 preface and settings", .fine(["settings"]), H.preface, settings, isRaw: true),
        // 4.1 frame format
        .init(
            "4.1 unknown type", .fine(["request 1 end"]),
            frame(.init(rawValue: 0xF0), .init(rawValue: 0xFF), 0, [1, 2]), H.get(1)),
        .init(
            "4.1 unknown flags", .fine(["request 1 end"]),
            frame(.headers, [.endHeaders, .endStream, .init(rawValue: 0xD2)], 1, H.block(HTTP2Samples.get))),
        .init(
            "4.1 reserved bit", .fine(["request 1 end"]),
            frame(.headers, [.endHeaders, .endStream], 0x8000_0001, H.block(HTTP2Samples.get))),
        // 4.3 compression
        .init(
            "4.3 block that cannot be decoded", .connection(.compressionError),
            frame(.headers, [.endHeaders, .endStream], 1, [0xBE])),
        .init(
            "4.3 block cut short", .connection(.compressionError),
            frame(.headers, [.endHeaders, .endStream], 1, [0x00, 0x05, 0x61])),
        .init(
            "4.3 table size above ours", .connection(.compressionError),
            frame(.headers, [.endHeaders, .endStream], 1, [0x3F, 0xE2, 0x1F])),
        .init(
            "4.3 trailers that cannot be decoded", .connection(.compressionError), openPost,
            frame(.headers, [.endHeaders, .endStream], 1, [0x80])),
        .init(
            "4.3 block of a refused stream cannot be decoded", .connection(.compressionError), H.get(1), H.reset(1),
            frame(.headers, [.endHeaders, .endStream], 1, [0xBE])),
        // 5.1 stream states
        .init("5.1 idle: DATA", .connection(.protocolError), H.data(1, 1, end: true)),
        .init("5.1 idle: RST_STREAM", .connection(.protocolError), H.reset(1)),
        .init("5.1 idle: WINDOW_UPDATE", .connection(.protocolError), H.windowUpdate(1, 1)),
        .init("5.1 idle: CONTINUATION", .connection(.protocolError), frame(.continuation, .endHeaders, 1, [])),
        .init("5.1 idle: PRIORITY", .fine([]), frame(.priority, [], 1, [0, 0, 0, 0, 9])),
        .init("5.1 idle, of ours: DATA", .connection(.protocolError), H.data(2, 1)),
        .init("5.1 idle, of ours: WINDOW_UPDATE", .connection(.protocolError), H.windowUpdate(2, 1)),
        .init("5.1 idle, of ours: RST_STREAM", .connection(.protocolError), H.reset(2)),
        .init("5.1 half-closed: DATA", .stream(1, .streamClosed), H.get(1), H.data(1, 1)),
        .init("5.1 half-closed: HEADERS", .stream(1, .streamClosed), H.get(1), trailers),
        .init(
            "5.1 half-closed: CONTINUATION", .connection(.protocolError), H.get(1),
            frame(.continuation, .endHeaders, 1, [])),
        .init("5.1 half-closed: WINDOW_UPDATE", .fine(["request 1 end"]), H.get(1), H.windowUpdate(1, 1)),
        .init(
            "5.1 half-closed: PRIORITY", .fine(["request 1 end"]), H.get(1), frame(.priority, [], 1, [0, 0, 0, 3, 9])),
        .init("5.1 half-closed: RST_STREAM", .fine(["request 1 end", "reset 1 CANCEL by peer"]), H.get(1), H.reset(1)),
        .init("5.1 closed by RST_STREAM: DATA", .stream(1, .streamClosed), openPost, H.reset(1), H.data(1, 1)),
        .init("5.1 closed by RST_STREAM: HEADERS", .stream(1, .streamClosed), openPost, H.reset(1), trailers),
        .init(
            "5.1 closed by RST_STREAM: CONTINUATION", .connection(.protocolError), openPost, H.reset(1),
            frame(.continuation, .endHeaders, 1, [])),
        .init(
            "5.1 closed by RST_STREAM: WINDOW_UPDATE", .fine(["request 1", "reset 1 CANCEL by peer"]), openPost,
            H.reset(1), H.windowUpdate(1, 1)),
        .init(
            "5.1 closed by RST_STREAM: RST_STREAM", .fine(["request 1", "reset 1 CANCEL by peer"]), openPost,
            H.reset(1), H.reset(1)),
        .init(
            "5.1 closed by RST_STREAM: PRIORITY", .fine(["request 1", "reset 1 CANCEL by peer"]), openPost, H.reset(1),
            frame(.priority, [], 1, [0, 0, 0, 3, 9])),
        .init("5.1 skipped: DATA", .connection(.streamClosed), H.get(5), H.data(3, 1)),
        .init(
            "5.1 END_STREAM with DATA, then DATA", .stream(1, .streamClosed), openPost, H.data(1, 1, end: true),
            H.data(1, 1)),
        .init("5.1 END_STREAM with trailers, then DATA", .stream(1, .streamClosed), openPost, trailers, H.data(1, 1)),
        .init("5.1.1 even stream", .connection(.protocolError), H.get(2)),
        .init("5.1.1 smaller than before", .connection(.protocolError), H.get(5), H.get(3)),
        .init("5.1.1 greater than before", .fine(["request 5 end", "request 9 end"]), H.get(5), H.get(9)),
        .init("5.1.1 stream 0", .connection(.protocolError), frame(.headers, [.endHeaders, .endStream], 0, [0x82])),
        .init("5.1.1 the same again", .stream(1, .streamClosed), H.get(1), H.get(1)),
        .init("5.1.1 a number that was passed over", .connection(.protocolError), H.get(5), H.get(1)),
        .init(
            "5.1 half-closed: trailers behind trailers", .stream(1, .streamClosed), openPost, trailers, trailers),
        .init("5.1 half-closed: an empty DATA", .stream(1, .streamClosed), H.get(1), H.data(1, 0, end: true)),
        .init("5.4.1 PING of 6 bytes", .connection(.frameSizeError), frame(.ping, [], 0, [0, 0, 0, 0, 0, 0])),
        // 5.3 priority, which is of no effect
        .init(
            "5.3.1 HEADERS that depend on themselves", .stream(1, .protocolError),
            frame(.headers, [.endHeaders, .endStream, .priority], 1, [0, 0, 0, 1, 9] + H.block(HTTP2Samples.get))),
        .init(
            "5.3.1 PRIORITY that depends on itself", .stream(1, .protocolError), openPost,
            frame(.priority, [], 1, [0, 0, 0, 1, 9])),
        .init("5.3.1 idle, depends on itself", .connection(.protocolError), frame(.priority, [], 1, [0, 0, 0, 1, 9])),
        .init(
            "6.3 PRIORITY of 6 bytes", .stream(1, .frameSizeError), openPost,
            frame(.priority, [], 1, [0, 0, 0, 3, 9, 9])),
        .init("6.3 PRIORITY of 4 bytes", .stream(1, .frameSizeError), openPost, frame(.priority, [], 1, [0, 0, 0, 3])),
        .init(
            "6.2 HEADERS with a priority", .fine(["request 1 end"]),
            frame(.headers, [.endHeaders, .endStream, .priority], 1, [0x80, 0, 0, 3, 9] + H.block(HTTP2Samples.get))),
        // 6.1, 6.9 flow control
        .init(
            "6.9 DATA over the stream's window", .stream(1, .flowControlError), openPost, H.data(1, 16_384),
            H.data(1, 16_384), H.data(1, 16_384), H.data(1, 16_384)),
        .init(
            "6.9.1 padding counts", .stream(1, .flowControlError), openPost, H.data(1, 16_384), H.data(1, 16_384),
            H.data(1, 16_384), frame(.data, .padded, 1, [255] + [UInt8](repeating: 0, count: 16_383))),
        .init(
            "6.9 WINDOW_UPDATE by 0 on a stream", .stream(1, .protocolError), openPost,
            frame(.windowUpdate, [], 1, [0, 0, 0, 0])),
        .init(
            "6.9 DATA of padding over the stream's window", .stream(1, .flowControlError), openPost, H.data(1, 16_384),
            H.data(1, 16_384), H.data(1, 16_384), H.data(1, 16_383), frame(.data, .padded, 1, [0])),
        .init(
            "6.9.1 two updates over 2^31-1", .stream(1, .flowControlError), openPost, H.windowUpdate(1, 1 << 30),
            H.windowUpdate(1, 1 << 30)),
        .init(
            "6.9.1 two updates of the connection over 2^31-1", .connection(.flowControlError),
            H.windowUpdate(0, 1 << 30),
            H.windowUpdate(0, 1 << 30)),
        .init(
            "6.9.1 the stream's window over 2^31-1", .stream(1, .flowControlError), openPost,
            H.windowUpdate(1, 1 << 31 - 1)),
        .init(
            "6.9.1 the connection's window over 2^31-1", .connection(.flowControlError), H.windowUpdate(0, 1 << 31 - 1)),
        .init(
            "6.9.1 the stream's window at 2^31-1", .fine(["request 1"]), openPost, H.windowUpdate(1, 1 << 31 - 65_536)),
        .init(
            "6.9.2 settings make a window too large", .connection(.flowControlError), openPost,
            H.windowUpdate(1, 1 << 31 - 65_536), H.settings((.initialWindowSize, 65_536))),
        .init(
            "6.9.2 settings make a window negative", .fine(["request 1", "settings"]), openPost,
            H.settings((.initialWindowSize, 0))),
        .init("6.5.3 acknowledgement of nothing", .fine([]), frame(.settings, .ack, 0)),
        .init("6.5 unknown setting", .fine(["settings"]), H.settings((.init(rawValue: 0xABCD), 1))),
        .init("6.5.2 push may be on", .fine(["settings"]), H.settings((.enablePush, 1))),
        .init(
            "8441 3 extended CONNECT taken back", .connection(.protocolError), H.settings((.enableConnectProtocol, 1)),
            H.settings((.enableConnectProtocol, 0))),
        .init(
            "6.7 PING that nobody asked for comes back", .fine(["pong 0"]),
            frame(.ping, .ack, 0, [0, 0, 0, 0, 0, 0, 0, 0])),
        .init("6.8 GOAWAY of the client", .fine(["goaway 0 NO_ERROR", "request 1 end"]), goAway, H.get(1)),
        // 8.1 messages
        .init(
            "8.1 a second HEADERS without END_STREAM", .stream(1, .protocolError), openPost,
            H.headers(1, ["x-a: b"], end: false)),
        .init("8.1 pseudo-header in trailers", .stream(1, .protocolError), openPost, H.headers(1, [":path: /"])),
        .init("8.2.1 capital letter in trailers", .stream(1, .protocolError), openPost, H.headers(1, ["X-a: b"])),
        .init(
            "8.2.2 Connection in trailers", .stream(1, .protocolError), openPost, H.headers(1, ["connection: close"])),
        .init("8.1 body and trailers", .fine(["request 1", "trailers 1"]), openPost, H.data(1, 5), trailers),
        .init(
            "8.1.1 body longer than its length", .stream(1, .protocolError), H.post(1, "content-length: 1"),
            H.data(1, 2)),
        .init(
            "8.1.1 body shorter than its length", .stream(1, .protocolError), H.post(1, "content-length: 3"),
            H.data(1, 2, end: true)),
        .init(
            "8.1.1 several DATA longer than their length", .stream(1, .protocolError), H.post(1, "content-length: 3"),
            H.data(1, 2), H.data(1, 2)),
        .init(
            "8.1.1 trailers ahead of the length", .stream(1, .protocolError), H.post(1, "content-length: 3"),
            H.data(1, 2), trailers),
        .init(
            "8.1.1 padding is no body", .fine(["request 1", "end 1"]), H.post(1, "content-length: 1"),
            frame(.data, [.padded, .endStream], 1, [2, 7, 0, 0])),
        .init(
            "8.1.1 body of its length", .fine(["request 1", "end 1"]), H.post(1, "content-length: 3"), H.data(1, 2),
            H.data(1, 1, end: true)),
        .init(
            "8.1.1 length and an empty end", .fine(["request 1", "end 1"]), H.post(1, "content-length: 2"),
            H.data(1, 2), H.data(1, 0, end: true)),
        // 9218
        .init(
            "9218 7.1 of a stream that is not open", .fine([]),
            frame(.priorityUpdate, [], 0, [0, 0, 0, 9, 0x75, 0x3D, 0x31])),
        .init(
            "9218 4 a value that is none", .fine(["request 1 end"]), H.get(1),
            frame(.priorityUpdate, [], 0, [0, 0, 0, 1, 0xFF, 0x2C, 0x3D])),
    ]

    /// All rows there are.
    static let all: [HTTP2PeerRule] =
        rules
        + HTTP2FrameTests.malformed.filter(\.isServer).map {
            HTTP2PeerRule($0.section, .connection($0.code), $0.bytes)
        }
        + HTTP2RequestHeadTests.malformed.map {
            HTTP2PeerRule($0.section, .stream(1, .protocolError), H.headers(1, $0.lines))
        }
        + HPACKDecoderTests.malformed.map {
            HTTP2PeerRule(
                "7541 \($0.code): \($0.block)", .connection(.compressionError),
                frame(.headers, [.endHeaders, .endStream], 1, HPACKSamples.hex($0.block)))
        }

    @Test(arguments: all) func holds(_ row: HTTP2PeerRule) {
        for step in [1, 7, Int.max] {
            var peer = HTTP2Harness(isOpen: !row.isRaw)
            peer.feed(row.bytes, step: step)
            switch row.outcome {
            case .connection(let code):
                #expect(peer.error?.code == code, "\(row.rule)")
                #expect(peer.sent.last?.hasSuffix(" \(code)") == true && peer.sent.last?.hasPrefix("goaway") == true)
            case .stream(let id, let code):
                #expect(peer.error == nil && peer.sent.contains("reset \(id) \(code)"), "\(row.rule): \(peer.sent)")
                // The connection and its tables are as before.
                peer.forget()
                peer.feed(H.get(101), step: step)
                #expect(peer.events == ["request 101 end"])
            case .fine(let events):
                #expect(peer.error == nil && peer.events == events, "\(row.rule)")
                #expect(!peer.sent.contains { $0.hasPrefix("reset") || $0.hasPrefix("goaway") })
            }
        }
    }

    @Test func thereAreEnoughRules() { #expect(Self.all.count >= 150, "\(Self.all.count)") }
}
