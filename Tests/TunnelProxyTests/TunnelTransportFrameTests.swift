import Testing
import TunnelCore
import TunnelTLS
import TunnelTestSupport

@testable import TunnelProxy

/// The frames of a transport: their sizes, their number in one call, pings, compression.
@Suite struct TunnelTransportFrameTests {
    // MARK: Sizes

    /// TLS records in frames of any size, whose borders mean nothing to TLS.
    @Test(arguments: [1, 125, 126, 127, 65_535, 65_536]) func framesOfAnySizeAreTaken(_ size: Int) throws {
        let pair = try TransportPair.open()
        let bytes = (0..<(size * 2 + 100)).map { UInt8(truncatingIfNeeded: $0 ^ ($0 >> 8)) }
        pair.client.write(bytes)
        var records = WireFrame.all(pair.client.said()).flatMap(\.payload)[...]
        var encoder = FrameEncoder(role: .client)
        while !records.isEmpty {
            pair.server.feed(encoder.frame(Array(records.prefix(size))))
            records = records.dropFirst(size)
        }
        #expect(pair.server.read() == bytes)
        #expect(pair.server.end == nil)
    }

    /// The header is as short as it may be (RFC 6455 §5.2), on either side of where it grows.
    @Test(arguments: [true, false]) func headersAreAsShortAsTheyMayBe(_ isTheClients: Bool) throws {
        let pair = try TransportPair.open()
        let (end, peer) = isTheClients ? (pair.client, pair.server) : (pair.server, pair.client)
        for (plaintext, payload, header) in [(1, 23, 2), (103, 125, 2), (104, 126, 4), (16_384, 16_406, 4)] {
            let bytes = [UInt8](repeating: 7, count: plaintext)
            end.write(bytes)
            let said = end.said()
            let frames = WireFrame.all(said)
            #expect(frames.map(\.payload.count) == [payload])
            #expect(frames[0].isMasked == isTheClients)
            #expect(said.count == payload + header + (isTheClients ? 4 : 0))
            peer.feed(said)
            #expect(peer.read() == bytes)
        }
    }

    /// A masking key that a peer could foresee is none (RFC 6455 §10.3).
    @Test func aClientsFramesHaveKeysOfTheirOwn() throws {
        let pair = try TransportPair.open()
        var keys: Set<[UInt8]> = []
        for _ in 0..<20 {
            pair.client.write("x")
            keys.insert(Array(pair.client.said()[2..<6]))
        }
        #expect(keys.count >= 19)
    }

    @Test func aTextFrameIsRefused() throws {
        let pair = try TransportPair.open()
        var encoder = FrameEncoder(role: .client)
        pair.server.feed(encoder.frame(Array("hello".utf8), .text) + encoder.frame([], .ping))
        #expect(WireFrame.all(pair.server.said()).map(\.name) == ["close 1003"])
        guard case .failed = pair.server.end else {
            Issue.record("ended as \(String(describing: pair.server.end))")
            return
        }
    }

    @Test func aFrameOverTheLimitIsRefused() throws {
        for (size, names) in [(1_000, ["close 1000"]), (1_001, ["close 1009"])] {
            let pair = try TransportPair(maxFramePayload: 1_000)
            var encoder = FrameEncoder(role: .client)
            pair.server.feed(encoder.frame([UInt8](repeating: 0, count: size)))
            // Within the limit it is TLS that takes offence.
            #expect(WireFrame.all(pair.server.said()).map(\.name) == names, "\(size)")
        }
    }

    // MARK: The budget

    /// As many frames as the budget has are taken in one call, one more in the next. Nothing is lost.
    @Test(arguments: [0, 1, 2]) func framesHaveABudget(_ more: Int) throws {
        let pair = try TransportPair.open()
        let count = TunnelTransport.frameBudget + more
        for index in 0..<count { pair.client.write([UInt8(truncatingIfNeeded: index)]) }
        let frames = WireFrame.all(pair.client.said())
        #expect(frames.count == count)
        pair.server.step(frames.flatMap(\.bytes))
        #expect(pair.server.hasMore == (more > 0))
        #expect(pair.server.pending == frames.dropFirst(TunnelTransport.frameBudget).flatMap(\.bytes))
        let first = pair.server.read()
        #expect(first.count == TunnelTransport.frameBudget)
        pair.server.step([])
        #expect(!pair.server.hasMore && pair.server.pending.isEmpty)
        #expect(first + pair.server.read() == (0..<count).map { UInt8(truncatingIfNeeded: $0) })
    }

    @Test func halfAFrameBehindTheBudgetStays() throws {
        let pair = try TransportPair.open()
        for _ in 0...TunnelTransport.frameBudget { pair.client.write("x") }
        let bytes = pair.client.said()
        pair.server.step(Array(bytes.dropLast()))
        #expect(pair.server.hasMore)
        pair.server.step([])
        // A whole header and a record without its last byte: TLS has it, and it is no plaintext.
        #expect(!pair.server.hasMore)
        pair.server.step([bytes[bytes.count - 1]])
        #expect(pair.server.read().count == TunnelTransport.frameBudget + 1)
    }

    // MARK: Pings

    /// One pong a call, for the latest ping, however many there were.
    @Test(arguments: [1, 2, 200, TunnelTransport.frameBudget, TunnelTransport.frameBudget + 1])
    func theLatestPingIsAnswered(_ count: Int) throws {
        let pair = try TransportPair.open()
        var encoder = FrameEncoder(role: .client)
        pair.server.step((1...count).flatMap { encoder.frame(Array("\($0)".utf8), .ping) })
        let budget = TunnelTransport.frameBudget
        #expect(WireFrame.all(pair.server.said()).map(\.name) == ["pong \(min(count, budget))"])
        pair.server.step([])
        #expect(WireFrame.all(pair.server.said()).map(\.name) == (count > budget ? ["pong \(count)"] : []))
    }

    @Test(arguments: [0, 125]) func aPongSaysWhatThePingSaid(_ size: Int) throws {
        let pair = try TransportPair.open()
        var encoder = FrameEncoder(role: .client)
        let payload = (0..<size).map { UInt8($0) }
        pair.server.feed(encoder.frame(payload, .ping))
        let frames = WireFrame.all(pair.server.said())
        #expect(frames.map(\.opcode) == [10] && frames.map(\.payload) == [payload])
    }

    /// While a peer leaves unread what was sent before, its pings are dropped, also when it reads again later.
    @Test func pingsOfWhoDoesNotReadAreDropped() throws {
        let pair = try TransportPair.open()
        var encoder = FrameEncoder(role: .client)
        pair.server.feed(encoder.frame(Array("a".utf8), .ping), answersPings: false)
        #expect(pair.server.said().isEmpty)
        pair.server.feed(encoder.frame(Array("b".utf8), .pong))
        #expect(pair.server.said().isEmpty)
        pair.server.feed(encoder.frame(Array("c".utf8), .ping))
        #expect(WireFrame.all(pair.server.said()).map(\.name) == ["pong c"])
    }

    @Test func aPingBeforeACloseIsAnsweredBeforeIt() throws {
        let pair = try TransportPair.open()
        var encoder = FrameEncoder(role: .client)
        pair.client.close(.normal)
        pair.server.feed(encoder.frame(Array("p".utf8), .ping) + pair.client.said() + encoder.frame([], .ping))
        #expect(WireFrame.all(pair.server.said()).map(\.name) == ["pong p", "binary", "close 1000"])
        #expect(pair.server.pending.isEmpty)
    }

    // MARK: Compression

    /// Each message compressed by itself, or all with one window, as the client likes.
    @Test(arguments: [true, false]) func compressedMessagesAreInflated(_ isCompressed: Bool) throws {
        let pair = try TransportPair.open(deflates: true)
        var encoder = FrameEncoder(role: .client)
        var deflate = PerMessageDeflate(role: .client, parameters: DeflateParameters())
        for index in 0..<20 {
            pair.client.write("message \(index)")
            for frame in WireFrame.all(pair.client.said()) {
                guard isCompressed || index.isMultiple(of: 3) else {
                    pair.server.feed(frame.bytes)
                    continue
                }
                var small = ByteBuffer()
                try deflate.compress(frame.payload.span, endOfMessage: true, into: &small)
                let bytes = encoder.frame(small.array, isCompressed: true)
                pair.server.feed(bytes, cutAt: index)
            }
            #expect(pair.server.readText() == "message \(index)")
        }
        #expect(pair.server.end == nil)
    }

    @Test func compressionThatWasNotAgreedOnIsRefused() throws {
        let pair = try TransportPair.open()
        var encoder = FrameEncoder(role: .client)
        pair.server.feed(encoder.frame([1, 2, 3], isCompressed: true))
        #expect(WireFrame.all(pair.server.said()).map(\.name) == ["close 1002"])
    }

    /// A few bytes that become many are refused where a frame of that size would be.
    @Test func inflationIsBounded() throws {
        for (size, names) in [(50_000, ["close 1000"]), (50_001, ["close 1009"])] {
            let pair = try TransportPair(deflates: true, maxFramePayload: 50_000)
            var encoder = FrameEncoder(role: .client)
            var deflate = PerMessageDeflate(role: .client, parameters: DeflateParameters())
            var small = ByteBuffer()
            try deflate.compress([UInt8](repeating: 0, count: size).span, endOfMessage: true, into: &small)
            #expect(small.count < 200)
            pair.server.feed(encoder.frame(small.array, isCompressed: true))
            #expect(WireFrame.all(pair.server.said()).map(\.name) == names, "\(size)")
        }
    }
}
