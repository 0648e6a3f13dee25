import Testing
import TunnelCore

@Suite struct WebSocketMessagesTests {
    /// Everything `receiver` makes of `bytes`, cut at `splits`, and what it sends.
    private static func run(
        _ receiver: inout WebSocketMessages, _ bytes: [UInt8], splits: [Int] = []
    ) -> (events: [WebSocketMessages.Event], error: CloseCode?, output: [UInt8]) {
        var events: [WebSocketMessages.Event] = []
        var output = ByteBuffer()
        var start = 0
        for end in splits + [bytes.count] {
            receiver.receive(bytes.span.extracting(start..<end))
            start = end
            do throws(WebSocketError) {
                while let event = try receiver.next(output: &output) { events.append(event) }
            } catch {
                return (events, error.code, output.array)
            }
        }
        return (events, nil, output.array)
    }

    @Test func conversation() throws {
        for deflate in [nil, DeflateParameters(), DeflateParameters(clientNoContextTakeover: true)] {
            var client = WebSocketMessages(role: .client, deflate: deflate)
            var server = WebSocketMessages(role: .server, deflate: deflate)
            var bytes = ByteBuffer()
            try client.send(text: "héllo", output: &bytes)
            try client.send(text: "", output: &bytes)
            try client.send([UInt8](repeating: 1, count: 100_000), &bytes)
            client.ping([5], &bytes)
            try client.send(text: "héllo", output: &bytes)
            client.close(reason: "done", output: &bytes)
            try client.send(text: "unsent", output: &bytes)
            client.ping([6], &bytes)

            let all = bytes.array
            let heard = Self.run(&server, all)
            let expected: [WebSocketMessages.Event] = [
                .text("héllo"), .text(""), .binary([UInt8](repeating: 1, count: 100_000)), .ping([5]), .text("héllo"),
                .closed(.normal, reason: "done"),
            ]
            let serverIsFinished = server.isFinished
            #expect(heard.events == expected && heard.error == nil && serverIsFinished)

            let answer = Self.run(&client, heard.output)
            #expect(answer.events == [.pong([5]), .closed(.normal, reason: "")] && answer.output.isEmpty)
            let clientIsFinished = client.isFinished
            let isClean = client.transportClosed()
            #expect(clientIsFinished && isClean)
        }
    }

    @Test func anySplitAgrees() throws {
        for deflate in [nil, DeflateParameters()] {
            var client = WebSocketMessages(role: .client, deflate: deflate)
            var bytes = ByteBuffer()
            try client.send(text: "κόσμε 😀", output: &bytes)
            client.ping([1, 2], &bytes)
            try client.send((0..<150).map { $0 }, &bytes)
            client.close(.goingAway, output: &bytes)
            let all = bytes.array
            var reference = WebSocketMessages(role: .server, deflate: deflate)
            let whole = Self.run(&reference, all)
            #expect(whole.events.count == 4)
            for split in 0...all.count {
                var server = WebSocketMessages(role: .server, deflate: deflate)
                let cut = Self.run(&server, all, splits: [split])
                #expect(cut.events == whole.events && cut.output == whole.output)
            }
            var server = WebSocketMessages(role: .server, deflate: deflate)
            let drip = Self.run(&server, all, splits: Array(1..<all.count))
            #expect(drip.events == whole.events && drip.output == whole.output)
        }
    }

    static let failures: [(bytes: [UInt8], code: CloseCode, why: String)] = [
        (frame(.text, [0xFF]), .invalidPayload, "not UTF-8"),
        (frame(.text, [0xC3]), .invalidPayload, "ends in a character"),
        (frame(.text, [0xC3], isFinal: false) + frame(.continuation, [0x41], isFinal: false), .invalidPayload, "early"),
        (frame(.binary, [UInt8](repeating: 0, count: 1001)), .messageTooBig, "one frame"),
        (
            frame(.binary, [UInt8](repeating: 0, count: 600), isFinal: false)
                + frame(.continuation, [UInt8](repeating: 0, count: 401), isFinal: false), .messageTooBig, "fragments"
        ),
        (frame(.continuation), .protocolError, "continuation first"),
        (frame(.binary, [0x00], isCompressed: true), .protocolError, "compression not agreed"),
    ]
    /// A failure is told to the peer once, and nothing is read after it.
    @Test(arguments: failures) func fails(_ row: (bytes: [UInt8], code: CloseCode, why: String)) {
        var server = WebSocketMessages(role: .server, maxMessageSize: 1000)
        let result = Self.run(&server, row.bytes)
        let isFinished = server.isFinished
        #expect(result.error == row.code && result.events.isEmpty && isFinished, "\(row.why)")
        let code = row.code.rawValue
        #expect(result.output == [0x88, 0x02, UInt8(code >> 8), UInt8(truncatingIfNeeded: code)])
        let after = Self.run(&server, frame(.binary, [1]))
        #expect(after.events.isEmpty && after.output.isEmpty && after.error == nil)
    }

    /// Text is refused at its first wrong byte, before the frame has ended (RFC 6455 §8.1, Autobahn 6.4).
    @Test func textFailsFast() {
        var server = WebSocketMessages(role: .server)
        let bytes = frame(.text, Array("good".utf8) + [0xF4, 0x90] + Array("never read".utf8))
        #expect(Self.run(&server, Array(bytes[..<11])).error == nil)
        #expect(Self.run(&server, [bytes[11]]).error == .invalidPayload)
    }

    @Test func messageLimitIsExact() throws {
        for deflate in [nil, DeflateParameters()] {
            for (count, error) in [(1000, nil), (1001, CloseCode.messageTooBig)] {
                var client = WebSocketMessages(role: .client, deflate: deflate)
                var server = WebSocketMessages(role: .server, maxMessageSize: 1000, deflate: deflate)
                var bytes = ByteBuffer()
                try client.send([UInt8](repeating: 0, count: count), &bytes)
                #expect(Self.run(&server, bytes.array).error == error)
            }
        }
    }

    @Test func compressedTextIsChecked() throws {
        var client = WebSocketMessages(role: .client, deflate: DeflateParameters())
        var bytes = ByteBuffer()
        try client.send([0x41, 0xFF], &bytes)
        // The same message, said to be text.
        let asText = [bytes.array[0] & 0xF0 | Opcode.text.rawValue] + bytes.array.dropFirst()
        var server = WebSocketMessages(role: .server, deflate: DeflateParameters())
        #expect(Self.run(&server, asText).error == .invalidPayload)
    }

    @Test func uncompressedMessagesBesideCompressed() throws {
        var server = WebSocketMessages(role: .server, deflate: DeflateParameters())
        let result = Self.run(&server, frame(.text, [0x61]) + frame(.text, [0x00], isCompressed: true))
        #expect(result.events == [.text("a"), .text("")])
    }
}

extension WebSocketMessages {
    fileprivate mutating func send(_ binary: [UInt8], _ output: inout ByteBuffer) throws(WebSocketError) {
        try send(binary: binary.span, output: &output)
    }

    fileprivate mutating func ping(_ payload: [UInt8], _ output: inout ByteBuffer) {
        ping(payload.span, output: &output)
    }
}
