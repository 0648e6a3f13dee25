import Testing

@testable import TunnelCore

private typealias H = HTTP2Harness
private func frame(_ type: HTTP2FrameType, _ flags: HTTP2Flags, _ stream: UInt32, _ payload: [UInt8] = []) -> [UInt8] {
    HTTP2FrameTests.frame(type, flags, stream, payload)
}

/// What a peer may send, by the section that allows it: it is taken, and the requests in it are answered as ever.
struct HTTP2ExchangeCase: Sendable, CustomTestStringConvertible {
    var name: String
    var events: [String]
    var bytes: [UInt8]
    /// What we say beside the responses.
    var replies: [String]

    init(_ name: String, _ events: [String], replies: [String] = [], _ bytes: [UInt8]...) {
        (self.name, self.events, self.replies, self.bytes) = (name, events, replies, Array(bytes.joined()))
    }

    var testDescription: String { name }
}

@Suite struct HTTP2ExchangeCasesTests {
    private static let get = H.block(HTTP2Samples.get)
    private static let end: HTTP2Flags = [.endHeaders, .endStream]

    private static func priority(_ stream: UInt32, _ dependency: [UInt8], _ weight: UInt8) -> [UInt8] {
        frame(.priority, [], stream, dependency + [weight])
    }

    /// HEADERS and CONTINUATION frames of the same request, cut into so many.
    private static func pieces(_ count: Int) -> [UInt8] {
        let size = (get.count + count - 1) / count
        return (0..<count).flatMap { number -> [UInt8] in
            let piece = Array(get[min(number * size, get.count)..<min((number + 1) * size, get.count)])
            let flags: HTTP2Flags = number == count - 1 ? .endHeaders : []
            return number == 0
                ? frame(.headers, flags.union(.endStream), 1, piece) : frame(.continuation, flags, 1, piece)
        }
    }

    /// A request whose block has one more field, which is encoded so.
    private static func encoded(_ field: String, ahead: String = "") -> [UInt8] {
        frame(.headers, end, 1, HPACKSamples.hex(ahead) + get + HPACKSamples.hex(field))
    }

    static let cases: [HTTP2ExchangeCase] = [
        .init("2 idle: PRIORITY", ["request 1 end"], priority(1, [0, 0, 0, 0], 9), H.get(1)),
        .init("2 half-closed: WINDOW_UPDATE", ["request 1 end"], H.get(1), H.windowUpdate(1, 100)),
        .init("2 half-closed: PRIORITY", ["request 1 end"], H.get(1), priority(1, [0, 0, 0, 0], 9)),
        .init(
            "2 half-closed: RST_STREAM", ["request 1 end", "reset 1 CANCEL by peer", "request 3 end"], H.get(1),
            H.reset(1), H.get(3)),
        .init("3.1 DATA", ["request 1", "end 1"], H.post(1), H.data(1, 4, end: true)),
        .init("3.1 several DATA", ["request 1", "end 1"], H.post(1), H.data(1, 4), H.data(1, 4, end: true)),
        .init(
            "3.1 DATA with padding", ["request 1", "end 1"], H.post(1),
            frame(.data, [.padded, .endStream], 1, [6, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0])),
        .init("3.2 HEADERS", ["request 1 end"], H.get(1)),
        .init(
            "3.2 HEADERS with padding", ["request 1 end"],
            frame(.headers, end.union(.padded), 1, [6] + get + [0, 0, 0, 0, 0, 0])),
        .init(
            "3.2 HEADERS with priority", ["request 1 end"],
            frame(.headers, end.union(.priority), 1, [0, 0, 0, 0, 255] + get)),
        .init(
            "3.2 HEADERS with both", ["request 1 end"],
            frame(.headers, end.union([.priority, .padded]), 1, [1, 0x80, 0, 0, 3, 255] + get + [0])),
        .init("3.3 weight 1", ["request 1 end"], priority(1, [0, 0, 0, 0], 0), H.get(1)),
        .init("3.3 weight 256", ["request 1 end"], priority(1, [0, 0, 0, 0], 255), H.get(1)),
        .init("3.3 dependency", ["request 1 end"], priority(1, [0, 0, 0, 3], 9), H.get(1)),
        .init("3.3 exclusive", ["request 1 end"], priority(1, [0x80, 0, 0, 3], 9), H.get(1)),
        .init("3.3 idle, then a lower stream", ["request 1 end"], priority(5, [0, 0, 0, 0], 9), H.get(1)),
        .init("3.4 RST_STREAM", ["request 1", "reset 1 CANCEL by peer"], H.post(1), H.reset(1)),
        .init("3.5 SETTINGS", ["settings"], replies: ["settings ack"], H.settings((.maxConcurrentStreams, 100))),
        .init("3.5 empty SETTINGS", ["settings"], replies: ["settings ack"], H.settings()),
        .init("3.7 PING", [], replies: ["ping 1 ack"], frame(.ping, [], 0, [0, 0, 0, 0, 0, 0, 0, 1])),
        .init(
            "3.8 GOAWAY", ["goaway 0 NO_ERROR"], replies: ["ping 1 ack"],
            frame(.goAway, [], 0, [0, 0, 0, 0, 0, 0, 0, 0] + Array("debug".utf8)),
            frame(.ping, [], 0, [0, 0, 0, 0, 0, 0, 0, 1])),
        .init("3.9 WINDOW_UPDATE", ["request 1 end"], H.windowUpdate(0, 1), H.get(1)),
        .init(
            "3.9 WINDOW_UPDATE of a stream", ["request 1", "end 1"], H.post(1), H.windowUpdate(1, 1),
            H.data(1, 0, end: true)),
        .init("3.10 CONTINUATION", ["request 1 end"], pieces(2)),
        .init("3.10 several CONTINUATION", ["request 1 end"], pieces(8)),
        .init(
            "3.10 empty ones", ["request 1 end"], frame(.headers, .endStream, 1), frame(.continuation, [], 1),
            frame(.continuation, .endHeaders, 1, get)),
        .init("4 HEAD", ["request 1 end"], H.headers(1, [":method: HEAD"] + HTTP2Samples.get.dropFirst())),
        .init("4 POST", ["request 1", "end 1"], H.post(1, "content-length: 4"), H.data(1, 4, end: true)),
        .init(
            "4 POST with trailers", ["request 1", "trailers 1"], H.post(1), H.data(1, 4), H.headers(1, ["x-test: ok"])),
        // RFC 7541 §6: each way to encode a field.
        .init("7541 6.1 static", ["request 1 end"], frame(.headers, end, 1, HPACKSamples.hex("82 87 84 41 01 68"))),
        .init("7541 6.1 dynamic", ["request 1 end"], encoded("40 01 61 01 31 be be")),
        .init("7541 6.2.1 name of the table", ["request 1 end"], encoded("7a 04 68 74 74 70")),
        .init("7541 6.2.1 name of the table, Huffman", ["request 1 end"], encoded("7a 83 9d 29 af")),
        .init("7541 6.2.1 new name", ["request 1 end"], encoded("40 01 61 01 31")),
        .init("7541 6.2.1 new name, Huffman", ["request 1 end"], encoded("40 81 1f 81 0f")),
        .init("7541 6.2.2 name of the table", ["request 1 end"], encoded("0f 2b 01 31")),
        .init("7541 6.2.2 new name", ["request 1 end"], encoded("00 01 61 01 31")),
        .init("7541 6.2.2 new name, Huffman", ["request 1 end"], encoded("00 81 1f 81 0f")),
        .init("7541 6.2.3 name of the table", ["request 1 end"], encoded("1f 2b 01 31")),
        .init("7541 6.2.3 new name", ["request 1 end"], encoded("10 01 61 01 31")),
        .init("7541 6.2.3 new name, Huffman", ["request 1 end"], encoded("10 81 1f 81 0f")),
        .init("7541 6.2 empty value", ["request 1 end"], encoded("00 01 61 00")),
        .init("7541 6.3 table size", ["request 1 end"], encoded("", ahead: "3f 61")),
        .init("7541 6.3 table sizes", ["request 1 end"], encoded("", ahead: "20 3f e1 1f")),
        // What is ignored.
        .init(
            "4.1 unknown type", ["request 1 end"], frame(.init(rawValue: 0x16), .init(rawValue: 0xFF), 0, [1]), H.get(1)
        ),
        .init(
            "5.5 unknown type on a stream", ["request 1", "end 1"], H.post(1), frame(.init(rawValue: 0xFE), [], 1),
            H.data(1, 1, end: true)),
        .init(
            "4.1 undefined flags of PING", [], replies: ["ping 1 ack"],
            frame(.ping, .init(rawValue: 0x16), 0, [0, 0, 0, 0, 0, 0, 0, 1])),
        .init(
            "4.1 reserved bit of PING", [], replies: ["ping 1 ack"],
            frame(.ping, [], 0x8000_0000, [0, 0, 0, 0, 0, 0, 0, 1])),
        .init(
            "4.1 reserved bit of WINDOW_UPDATE", ["request 1 end"], frame(.windowUpdate, [], 0, [0x80, 0, 0, 1]),
            H.get(1)),
        .init("4.2 DATA of 2^14 bytes", ["request 1", "end 1"], H.post(1), H.data(1, 16_384, end: true)),
        .init(
            "6.5.2 settings that are not known", ["settings"], replies: ["settings ack"],
            H.settings((.init(rawValue: 0xFF), 1), (.init(rawValue: 0), 0))),
        .init(
            "6.7 an acknowledgement is not acknowledged", ["pong 7"], replies: ["ping 1 ack"],
            frame(.ping, .ack, 0, [0, 0, 0, 0, 0, 0, 0, 7]), frame(.ping, [], 0, [0, 0, 0, 0, 0, 0, 0, 1])),
        .init(
            "7 GOAWAY with an unknown code", ["goaway 0 error 255"], replies: ["ping 1 ack"],
            frame(.goAway, [], 0, [0, 0, 0, 0, 0, 0, 0, 255]), frame(.ping, [], 0, [0, 0, 0, 0, 0, 0, 0, 1])),
        .init(
            "7 RST_STREAM with an unknown code", ["request 1", "reset 1 error 255 by peer"], replies: ["ping 1 ack"],
            H.post(1), frame(.resetStream, [], 1, [0, 0, 0, 255]), frame(.ping, [], 0, [0, 0, 0, 0, 0, 0, 0, 1])),
    ]

    @Test(arguments: cases) func isAnswered(_ row: HTTP2ExchangeCase) {
        for step in [1, 7, Int.max] {
            var peer = HTTP2Harness()
            peer.feed(row.bytes, step: step)
            #expect(peer.error == nil && peer.events == row.events)
            #expect(peer.sent == row.replies)
            // What is open is answered, and another request behind it.
            peer.forget()
            peer.feed(H.get(101), step: step)
            for stream in [UInt32(1), 3, 101] where peer.connection.streams.find(stream) != nil {
                let isOpen = row.events.allSatisfy { !$0.hasPrefix("reset \(stream)") }
                let isTaken = peer.respond(stream)
                #expect(isTaken == isOpen)
                peer.offer(5, on: stream)
                peer.connection.finish(stream)
                let turns = peer.turns()
                #expect(turns == (isOpen ? [HTTP2DataTurn(stream: stream, count: 5, endsStream: true)] : []))
                peer.connection.release(stream)
            }
            peer.drain()
            #expect(peer.events == ["request 101 end"])
            #expect(peer.sent.allSatisfy { $0.hasPrefix("headers") } && peer.sent.last == "headers 101")
            #expect(peer.connection.streamCount == 0)
        }
    }

    /// A body on a window that settings and WINDOW_UPDATE open and close, also below zero (RFC 9113 §6.5.3, §6.9.2).
    static let windows: [(name: String, ahead: [UInt8], pieces: [(bytes: [UInt8], sent: [Int])])] = [
        ("6.5.3 the last of two values", H.settings((.initialWindowSize, 100), (.initialWindowSize, 1)), [([], [1])]),
        ("6.9.1 a window of 1", H.settings((.initialWindowSize, 1)), [([], [1])]),
        (
            "6.9.2 a window that opens", H.settings((.initialWindowSize, 0)),
            [([], []), (H.settings((.initialWindowSize, 1)), [1])]
        ),
        (
            "6.9.2 a negative window", H.settings((.initialWindowSize, 3)),
            [([], [3]), (H.settings((.initialWindowSize, 2)), []), (H.windowUpdate(1, 2), [1])]
        ),
        (
            "6.9.1 both windows count", H.settings((.initialWindowSize, 1)),
            [([], [1]), (H.windowUpdate(0, 100), []), (H.windowUpdate(1, 7), [7])]
        ),
    ]

    @Test(arguments: windows.indices) func sendsWhatTheWindowAllows(_ index: Int) {
        let row = Self.windows[index]
        var peer = HTTP2Harness()
        peer.feed(row.ahead + H.get(1))
        peer.respond(1)
        peer.offer(100, on: 1)
        peer.connection.finish(1)
        for piece in row.pieces {
            peer.feed(piece.bytes)
            let turns = peer.turns()
            #expect(turns.map(\.count) == piece.sent, "\(row.name)")
        }
        #expect(peer.error == nil)
    }
}
