import Testing

@testable import TunnelCore

/// Numbers that are the same in each run (SplitMix64).
private struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// One side: our connection, the bodies that it sends and gets, and its bytes on their way to the other side.
private struct WindowEnd: ~Copyable {
    var connection: HTTP2Connection
    /// What is still to be sent, and all that came.
    private var waiting: [UInt32: ArraySlice<UInt8>] = [:]
    private(set) var bodies: [UInt32: [UInt8]] = [:]
    private(set) var ended: Set<UInt32> = []
    /// Requests that came, and bytes that the exchange did not take yet.
    private(set) var requests: [UInt32] = []
    private var unconsumed: [UInt32: Int] = [:]
    private(set) var reset: [UInt32: String] = [:]
    private(set) var wire: [UInt8] = []
    private var delivered = 0
    /// Where each acknowledgement of settings ends in `wire`.
    private var acknowledgements: [Int] = []
    private var rest: [UInt8] = []
    /// The windows that we announced and that are not acknowledged; the first are the settings of the connection's start.
    private var announced: [Int?] = [nil]
    private(set) var wasNegative = false

    init(isServer: Bool) {
        var limits = HTTP2Limits()
        for abuse in HTTP2Abuse.allCases { limits[abuse] = HTTP2Rate(burst: 1 << 30, perSecond: 0) }
        limits.maxReplyBytes = 1 << 30
        // All that is taken is given back at once, whichever window is announced later.
        limits.streamWindow = 1
        limits.connectionWindow = 65_535
        connection = HTTP2Connection(isServer: isServer, limits: limits, now: 1)
        write(turns: 0, room: 0)
    }

    var isSilent: Bool { delivered == wire.count }
    var isDone: Bool { waiting.isEmpty && isSilent && unconsumed.isEmpty }

    mutating func send(_ body: [UInt8], on stream: UInt32) {
        guard !body.isEmpty else { return }
        waiting[stream] = body[...]
        connection.offer(body.count, on: stream, now: 1)
        connection.finish(stream)
    }

    /// Writes what is ready, with at most so many frames of bodies.
    mutating func write(turns: Int, room: Int) {
        var out = ByteBuffer()
        connection.drainControl(into: &out)
        for _ in 0..<turns {
            guard let turn = connection.nextData(room: room, now: 1) else { break }
            turn.appendHeader(to: &out)
            let body = waiting[turn.stream] ?? []
            #expect(turn.count <= body.count)
            out.append(Array(body.prefix(turn.count)))
            waiting[turn.stream] = body.count > turn.count ? body.dropFirst(turn.count) : nil
            connection.drainControl(into: &out)
        }
        append(out.array)
    }

    private mutating func append(_ frames: [UInt8]) {
        let start = wire.count
        wire += frames
        var position = start
        if !connection.isServer, start == 0 { position += HTTP2Connection.preface.utf8CodeUnitCount }
        while let header = HTTP2FrameHeader.decode(wire.span, at: position) {
            position += HTTP2FrameHeader.size + header.length
            if header.type == .settings, header.flags.contains(.ack) { acknowledgements.append(position) }
        }
        #expect(position == wire.count)
    }

    /// Changes our SETTINGS_INITIAL_WINDOW_SIZE.
    mutating func announce(_ window: Int) {
        append(HTTP2Harness.settings((.initialWindowSize, UInt32(window))))
        announced.append(window)
    }

    /// Takes up to `count` bytes off the wire, no further than an acknowledgement.
    mutating func take(atMost count: Int) -> (bytes: [UInt8], isAcknowledged: Bool) {
        let stop = acknowledgements.first ?? .max
        let end = min(delivered + min(count, wire.count - delivered), stop)
        defer { delivered = end }
        if end == stop { acknowledgements.removeFirst() }
        return (Array(wire[delivered..<end]), end == stop)
    }

    mutating func receive(_ piece: (bytes: [UInt8], isAcknowledged: Bool)) throws {
        rest += piece.bytes
        let area = rest
        var position = 0
        var event = HTTP2Event.needMore
        repeat {
            event = try connection.receive(area.span, at: &position, now: 1)
            switch event {
            case .request(let stream, let endsStream):
                requests.append(stream)
                if endsStream { ended.insert(stream) }
            case .response(let stream, true): ended.insert(stream)
            case .data(let stream, let range, let endsStream):
                bodies[stream, default: []] += area[range]
                if !range.isEmpty { unconsumed[stream, default: 0] += range.count }
                if endsStream { ended.insert(stream) }
            case .reset(let stream, let code, _): reset[stream] = "\(code)"
            default: break
            }
        } while event != .needMore
        rest.removeFirst(position)
        if !wasNegative {
            wasNegative = connection.streams.slots.contains { $0.pending > 0 && $0.window.size < 0 }
        }
        guard piece.isAcknowledged, let window = announced.removeFirst() else { return }
        // What a connection does on its own for its first settings (RFC 9113 §6.9.2).
        let change = window - connection.streamWindow
        connection.streamWindow = window
        for slot in connection.streams.slots.indices where connection.streams.slots[slot].id != 0 {
            connection.streams.slots[slot].credit += change
        }
    }

    /// The exchanges take what came, or a part of it.
    mutating func consume(_ numbers: inout SeededNumbers, all: Bool) throws {
        for (stream, count) in unconsumed.sorted(by: { $0.key < $1.key }) where all || Bool.random(using: &numbers) {
            let taken = all ? count : Int.random(in: 1...count, using: &numbers)
            unconsumed[stream] = taken < count ? count - taken : nil
            try connection.consumed(taken, of: stream)
        }
    }
}

/// Windows that change while bodies are under way, also below zero (RFC 9113 §6.9.2): nothing is lost, and none goes too early.
@Suite struct HTTP2WindowTests {
    private static let windows = [0, 0, 1, 1, 2, 100, 1_000, 16_384, 65_535, 200_000]

    @Test(arguments: 1...16) func bodiesOutliveChanges(_ seed: Int) throws {
        var numbers = SeededNumbers(state: UInt64(seed))
        var client = WindowEnd(isServer: false)
        var server = WindowEnd(isServer: true)
        var sent: [UInt32: (request: [UInt8], response: [UInt8])] = [:]
        var answered = 0
        func body() -> [UInt8] {
            let size = [0, 1, 300, 5_000, 30_000, 70_000].randomElement(using: &numbers) ?? 0
            let first = UInt8.random(in: 0...255, using: &numbers)
            return (0..<size).map { first &+ UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 8) }
        }
        for _ in 0..<([1, 10, 40].randomElement(using: &numbers) ?? 1) {
            let (request, response) = (body(), body())
            let lines = Array(":method: POST\r\n:scheme: https\r\n:authority: h\r\n:path: /\r\n".utf8)
            let id = client.connection.sendRequest(lines.span, method: .post, endsStream: request.isEmpty)
            let stream = try #require(id)
            client.send(request, on: stream)
            sent[stream] = (request, response)
        }

        func respond() {
            // At once, so that both bodies of a stream are under way together.
            for stream in server.requests[answered...] {
                let response = sent[stream]?.response ?? []
                let none: [UInt8] = []
                server.connection.sendResponse(stream, status: 200, none.span, endsStream: response.isEmpty)
                server.send(response, on: stream)
            }
            answered = server.requests.count
        }
        func step() throws {
            let turns = Int.random(in: 0...8, using: &numbers)
            let room = [1, 100, 16_384, 1 << 20].randomElement(using: &numbers) ?? 1
            let count = [1, 9, 100, 5_000, 1 << 20].randomElement(using: &numbers) ?? 1
            switch Int.random(in: 0..<6, using: &numbers) {
            case 0: client.write(turns: turns, room: room)
            case 1: server.write(turns: turns, room: room)
            case 2: try server.receive(client.take(atMost: count))
            case 3: try client.receive(server.take(atMost: count))
            case 4: try client.consume(&numbers, all: false)
            default: try server.consume(&numbers, all: false)
            }
            respond()
        }
        /// All that can move does; then what each may send is what the other expects.
        func settle() throws {
            var quiet = 0
            while quiet < 2 {
                client.write(turns: .max, room: 1 << 20)
                server.write(turns: .max, room: 1 << 20)
                quiet = client.isSilent && server.isSilent ? quiet + 1 : 0
                while !client.isSilent { try server.receive(client.take(atMost: .max)) }
                while !server.isSilent { try client.receive(server.take(atMost: .max)) }
                try client.consume(&numbers, all: true)
                try server.consume(&numbers, all: true)
                respond()
            }
            let (up, down) = (client.connection.window.size, server.connection.window.size)
            #expect(up == server.connection.credit && down == client.connection.credit)
            for stream in sent.keys {
                let slots = (client.connection.streams.find(stream), server.connection.streams.find(stream))
                guard let first = slots.0, let second = slots.1 else { continue }
                let (ours, theirs) = (client.connection.streams.slots[first], server.connection.streams.slots[second])
                // The credit of a body that has ended is of no use to anybody.
                if theirs.incoming == .body { #expect(ours.window.size == theirs.credit, "request \(stream)") }
                if ours.incoming == .body { #expect(theirs.window.size == ours.credit, "response \(stream)") }
                #expect(ours.pending == 0 || ours.window.size <= 0, "request \(stream) stands still")
                #expect(theirs.pending == 0 || theirs.window.size <= 0, "response \(stream) stands still")
            }
        }

        for _ in 0..<30 {
            for _ in 0..<Int.random(in: 0...40, using: &numbers) { try step() }
            let window = Self.windows.randomElement(using: &numbers) ?? 0
            if Bool.random(using: &numbers) { client.announce(window) } else { server.announce(window) }
            if Int.random(in: 0..<8, using: &numbers) == 0 {
                // Bodies stand still where they are, rather than go by single bytes.
                client.announce(0)
                server.announce(0)
                try settle()
            }
        }
        client.announce(65_535)
        server.announce(65_535)
        try settle()

        let areDone = (client.isDone, server.isDone)
        #expect(areDone == (true, true))
        let resets = client.reset.count + server.reset.count
        #expect(resets == 0)
        for (stream, bodies) in sent {
            let (request, response) = (server.bodies[stream] ?? [], client.bodies[stream] ?? [])
            #expect(request == bodies.request, "request \(stream)")
            #expect(response == bodies.response, "response \(stream)")
            let haveEnded = (server.ended.contains(stream), client.ended.contains(stream))
            #expect(haveEnded == (true, true))
        }
        if sent.count >= 10 {
            let wereNegative = client.wasNegative || server.wasNegative
            #expect(wereNegative, "no window was below zero")
        }
    }
}
