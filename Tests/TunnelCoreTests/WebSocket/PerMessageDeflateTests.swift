import Testing
import TunnelCore

@Suite struct PerMessageDeflateTests {
    private static func payload(_ text: String) -> [UInt8] { Array(text.utf8) }

    /// Both ends of a connection with these parameters.
    private struct Pair: ~Copyable {
        var client: PerMessageDeflate
        var server: PerMessageDeflate

        init(_ parameters: DeflateParameters) {
            client = PerMessageDeflate(role: .client, parameters: parameters)
            server = PerMessageDeflate(role: .server, parameters: parameters)
        }
    }

    private static func compress(
        _ deflate: inout PerMessageDeflate, _ bytes: [UInt8], pieces: Int = 1
    ) throws(WebSocketError) -> [UInt8] {
        var output = ByteBuffer()
        for piece in 0..<pieces {
            let range = bytes.count * piece / pieces..<bytes.count * (piece + 1) / pieces
            try deflate.compress(bytes.span.extracting(range), endOfMessage: piece == pieces - 1, into: &output)
        }
        return output.array
    }

    private static func decompress(
        _ deflate: inout PerMessageDeflate, _ bytes: [UInt8], pieces: Int = 1, limit: Int = 1 << 24
    ) throws(WebSocketError) -> [UInt8] {
        var output = ByteBuffer()
        for piece in 0..<pieces {
            let range = bytes.count * piece / pieces..<bytes.count * (piece + 1) / pieces
            try deflate.decompress(
                bytes.span.extracting(range), endOfMessage: piece == pieces - 1, limit: limit, into: &output)
        }
        return output.array
    }

    private static func fresh(_ parameters: DeflateParameters = DeflateParameters()) -> PerMessageDeflate {
        PerMessageDeflate(role: .server, parameters: parameters)
    }

    /// RFC 7692 §7.2.3.1 and §7.2.3.2: "Hello" twice, the second with and without the window of the first.
    @Test func rfcHello() throws {
        let first: [UInt8] = [0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00]
        let second: [UInt8] = [0xF2, 0x00, 0x11, 0x00, 0x00]
        var keeping = Pair(DeflateParameters())
        #expect(try Self.compress(&keeping.server, Self.payload("Hello")) == first)
        #expect(try Self.compress(&keeping.server, Self.payload("Hello")) == second)
        #expect(try Self.decompress(&keeping.client, first) == Self.payload("Hello"))
        #expect(try Self.decompress(&keeping.client, second) == Self.payload("Hello"))

        var forgetting = Pair(DeflateParameters(serverNoContextTakeover: true))
        #expect(try Self.compress(&forgetting.server, Self.payload("Hello")) == first)
        #expect(try Self.compress(&forgetting.server, Self.payload("Hello")) == first)
        #expect(try Self.decompress(&forgetting.client, first) == Self.payload("Hello"))
        // The window is gone, so the second form refers to nothing.
        #expect(throws: WebSocketError(code: .invalidPayload, reason: "")) {
            var client = PerMessageDeflate(role: .client, parameters: DeflateParameters(serverNoContextTakeover: true))
            _ = try Self.decompress(&client, first)
            _ = try Self.decompress(&client, second)
        }
    }

    /// RFC 7692 §7.2.3.3 to §7.2.3.6: other ways to say "Hello", and an empty message.
    @Test(
        arguments: [
            ([0x00, 0x05, 0x00, 0xFA, 0xFF, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x00], "Hello"),
            ([0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00], "Hello"),
            ([0xF2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xCA, 0xC9, 0xC9, 0x07, 0x00], "Hello"),
            ([0x00], ""),
        ] as [([UInt8], String)])
    func rfcForms(_ bytes: [UInt8], _ text: String) throws {
        for pieces in 1...bytes.count {
            var deflate = Self.fresh()
            #expect(try Self.decompress(&deflate, bytes, pieces: pieces) == Self.payload(text))
        }
    }

    /// The window outlives a block marked final: "Hello" can still be referred to.
    @Test func windowOutlivesAFinalBlock() throws {
        var deflate = Self.fresh()
        #expect(
            try Self.decompress(&deflate, [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00]) == Self.payload("Hello"))
        #expect(try Self.decompress(&deflate, [0xF2, 0x00, 0x11, 0x00, 0x00]) == Self.payload("Hello"))
    }

    @Test func emptyMessages() throws {
        var pair = Pair(DeflateParameters())
        for message in ["", "text", "", "", "text"] {
            let bytes = try Self.compress(&pair.client, Self.payload(message))
            if message.isEmpty { #expect(bytes == [0x00]) }
            #expect(try Self.decompress(&pair.server, bytes) == Self.payload(message))
        }
    }

    /// Messages that repeat at near and far distances, noise, and long runs.
    private static let messages: [[UInt8]] = {
        var random = SystemRandomNumberGenerator()
        let noise = (0..<20_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        let block = Array(noise[..<300])
        return [
            payload("short"), payload("short"), (0..<30).flatMap { _ in block }, noise,
            [UInt8](repeating: 7, count: 70_000), [], payload(String(repeating: "words and words, ", count: 500)),
        ]
    }()

    /// Every combination of the four parameters, both directions, whole and in pieces.
    @Test(arguments: [false, true], [false, true]) func everyCombination(_ server: Bool, _ client: Bool) throws {
        for serverBits in 8...15 {
            for clientBits in 8...15 {
                var pair = Pair(
                    DeflateParameters(
                        serverNoContextTakeover: server, clientNoContextTakeover: client,
                        serverMaxWindowBits: serverBits, clientMaxWindowBits: clientBits))
                for (index, message) in Self.messages.enumerated() {
                    let up = try Self.compress(&pair.client, message, pieces: 1 + index % 3)
                    #expect(try Self.decompress(&pair.server, up, pieces: 1 + index) == message)
                    let down = try Self.compress(&pair.server, message, pieces: 1 + index % 2)
                    #expect(try Self.decompress(&pair.client, down, pieces: 3) == message)
                    pair.client.releaseUnused()
                    pair.server.releaseUnused()
                }
            }
        }
    }

    /// The negotiated window binds: data made for a larger one is refused by a smaller one.
    @Test func windowIsHeld() throws {
        let block = Self.messages[3][..<300]
        var large = PerMessageDeflate(role: .server, parameters: DeflateParameters(serverMaxWindowBits: 10))
        var small = PerMessageDeflate(role: .client, parameters: DeflateParameters(serverMaxWindowBits: 8))
        let bytes = try Self.compress(&large, Array(block + block))
        #expect(throws: WebSocketError(code: .invalidPayload, reason: "")) {
            var small = PerMessageDeflate(role: .client, parameters: DeflateParameters(serverMaxWindowBits: 8))
            // In pieces, for zlib looks no further back than its window only across calls.
            _ = try Self.decompress(&small, bytes, pieces: bytes.count)
        }
        #expect(try Self.decompress(&small, [0x00]) == [])
    }

    /// Any split of compressed data gives the same message.
    @Test func anySplit() throws {
        var compressor = PerMessageDeflate(role: .client, parameters: DeflateParameters())
        let message = Self.payload(String(repeating: "a message to be cut anywhere; ", count: 8))
        let bytes = try Self.compress(&compressor, message)
        for split in 0...bytes.count {
            var deflate = Self.fresh()
            var output = ByteBuffer()
            try deflate.decompress(
                bytes.span.extracting(..<split), endOfMessage: false, limit: 1000, into: &output)
            try deflate.decompress(bytes.span.extracting(split...), endOfMessage: true, limit: 1000, into: &output)
            #expect(output.array == message)
        }
    }

    @Test(arguments: [1, 255, 256, 257, 32_768, 100_000, 1_000_000])
    func limitAllowsNAndRefusesOneMore(_ size: Int) throws {
        var compressor = PerMessageDeflate(role: .client, parameters: DeflateParameters())
        let bytes = try Self.compress(&compressor, [UInt8](repeating: 0, count: size))
        for pieces in [1, 2, bytes.count] {
            var allowing = Self.fresh()
            #expect(try Self.decompress(&allowing, bytes, pieces: pieces, limit: size).count == size)
            // The limit is each message's own.
            #expect(try Self.decompress(&allowing, [0x00], limit: 0) == [])
            var output = ByteBuffer()
            var refusing = Self.fresh()
            var code: CloseCode?
            do throws(WebSocketError) {
                try refusing.decompress(bytes.span, endOfMessage: true, limit: size - 1, into: &output)
            } catch { code = error.code }
            #expect(code == .messageTooBig && output.count == size - 1)
        }
    }

    /// Decompresses in steps of at most `room` bytes; each is looked at before the next is made.
    private static func steps(
        _ deflate: inout PerMessageDeflate, _ bytes: [UInt8], pieces: Int = 1, room: Int, limit: Int = 1 << 24
    ) throws(WebSocketError) -> [[UInt8]] {
        var steps: [[UInt8]] = []
        for piece in 0..<pieces {
            let end = bytes.count * (piece + 1) / pieces
            var at = bytes.count * piece / pieces
            while true {
                var output = ByteBuffer()
                let progress = try deflate.decompress(
                    bytes.span.extracting(at..<end), endOfMessage: piece == pieces - 1, limit: limit, atMost: room,
                    into: &output)
                at += progress.consumed
                steps.append(output.array)
                #expect(output.count <= room && (progress.isDone || output.count == room))
                if progress.isDone { break }
            }
            #expect(at == end)
        }
        return steps
    }

    /// A few kilobytes that swell to megabytes come 64 KiB at a time, and the first of them before the rest is made.
    @Test func swellsInSteps() throws {
        let size = 5_000_000, room = 65_536
        var compressor = PerMessageDeflate(role: .client, parameters: DeflateParameters())
        let bytes = try Self.compress(&compressor, [UInt8](repeating: 7, count: size))
        #expect(bytes.count < 8_192)
        var deflate = Self.fresh()
        let steps = try Self.steps(&deflate, bytes, room: room)
        #expect(steps.count >= size / room && steps.count <= size / room + 2)
        #expect(steps.reduce(0) { $0 + $1.count } == size)
        // The message is over: the next one is read from its start, and has a limit of its own.
        #expect(try Self.decompress(&deflate, [0x00], limit: 0) == [])
    }

    /// Steps of any size, over pieces of any size, give what one call gives, message after message.
    @Test(arguments: [1, 2, 7, 255, 256, 257, 4_096, 65_536]) func stepsMakeNoDifference(_ room: Int) throws {
        var pair = Pair(DeflateParameters())
        for (index, message) in Self.messages.enumerated() where message.count / room < 2_000 {
            let bytes = try Self.compress(&pair.client, message)
            let steps = try Self.steps(&pair.server, bytes, pieces: 1 + index % 3, room: room)
            #expect(steps.flatMap { $0 } == message)
        }
        var deflate = Self.fresh()
        // With a block marked final, and another behind it.
        #expect(
            try Self.steps(&deflate, [0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00], room: room).flatMap { $0 }
                == Self.payload("Hello"))
        #expect(try Self.steps(&deflate, [0x00], room: room) == [[]])
        #expect(throws: WebSocketError(code: .invalidPayload, reason: "")) {
            _ = try Self.steps(&deflate, [0xF2, 0x48], room: room)
        }
    }

    /// A last block that is stored and takes the tail for its own bytes: it ends the message where the room ends as well.
    @Test(arguments: [1, 2, 4, 5, 256]) func aStoredBlockMayTakeTheTail(_ room: Int) throws {
        for header: [UInt8] in [[0x00], [0x01]] {
            var deflate = Self.fresh()
            for _ in 0..<2 {
                let steps = try Self.steps(
                    &deflate, header + [0x08, 0x00, 0xF7, 0xFF] + Self.payload("1234"), room: room)
                #expect(steps.flatMap { $0 } == Self.payload("1234") + [0x00, 0x00, 0xFF, 0xFF])
            }
        }
    }

    /// The limit counts the whole message, over its steps.
    @Test(arguments: [1, 1_000, 100_000]) func stepsKeepTheLimit(_ size: Int) throws {
        var compressor = PerMessageDeflate(role: .client, parameters: DeflateParameters())
        let bytes = try Self.compress(&compressor, [UInt8](repeating: 0, count: size))
        for room in [max(1, size / 10), size, size + 1] {
            var allowing = Self.fresh()
            let all = try Self.steps(&allowing, bytes, room: room, limit: size).flatMap { $0 }
            #expect(all.count == size)
            #expect(throws: WebSocketError(code: .messageTooBig, reason: "")) {
                var refusing = Self.fresh()
                _ = try Self.steps(&refusing, bytes, room: room, limit: size - 1)
            }
        }
    }

    static let malformed: [(bytes: [UInt8], why: String)] = [
        ([0x07], "reserved block type"), ([0xF2, 0x48], "ends inside a block"), ([], "no block at all"),
        ([0x00, 0x06, 0x00, 0xF9, 0xFF, 0x48], "stored block cut short"),
        ([0x00, 0x05, 0x00, 0x00, 0x00], "stored length and complement differ"),
        ([0xF2, 0x00, 0x11, 0x00, 0x00], "refers before the start"),
        ([0xF3, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00], "final block without the empty one behind it"),
        ([0xF2, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00, 0x00, 0x00, 0xFF, 0xFF], "tail sent along"),
    ]
    @Test(arguments: malformed) func refuses(_ row: (bytes: [UInt8], why: String)) {
        for pieces in 1...max(1, row.bytes.count) {
            #expect(throws: WebSocketError(code: .invalidPayload, reason: ""), "\(row.why)") {
                var deflate = Self.fresh()
                _ = try Self.decompress(&deflate, row.bytes, pieces: pieces)
            }
        }
    }
}
