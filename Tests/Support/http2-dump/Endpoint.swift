internal import TunnelCore

/// An endpoint on arrays: a server that echoes, or a client that notes what came.
struct Endpoint: ~Copyable {
    /// What is known of one stream.
    private struct Exchange {
        var received: [UInt8] = []
        var waiting: [UInt8] = []
        var head = ""
        var trailers: [UInt8] = []
        var note = "open"
    }

    private var connection: HTTP2Connection
    private let isServer: Bool
    private var exchanges: [UInt32: Exchange] = [:]
    private var rest: [UInt8] = []
    private var now: UInt64 = 1
    private var failure = ""

    init(isServer: Bool, limits: HTTP2Limits) {
        connection = HTTP2Connection(isServer: isServer, limits: limits, now: 1)
        self.isServer = isServer
    }

    /// One line for each stream: number, how it went, status, length of the body and a sum of it, trailers.
    var report: String {
        exchanges.keys.sorted().map { id in
            guard let exchange = exchanges[id] else { return "" }
            let sum = exchange.received.reduce(UInt32(0)) { $0 &* 31 &+ UInt32($1) }
            let trailers = String(decoding: exchange.trailers, as: UTF8.self).split(separator: "\r\n").joined(
                separator: "|")
            return "\(id) \(exchange.note) \(exchange.head) \(exchange.received.count) \(sum) \(trailers)"
        }.joined(separator: "\n") + failure
    }

    mutating func drain() -> [UInt8] {
        connection.beginDraining()
        connection.finishDraining()
        return output()
    }

    mutating func request(_ lines: [UInt8], body: [UInt8]) -> [UInt8] {
        guard let id = connection.sendRequest(lines.span, method: body.isEmpty ? .get : .post, endsStream: body.isEmpty)
        else {
            return output()
        }
        exchanges[id] = Exchange()
        send(body, on: id)
        return output()
    }

    private mutating func send(_ body: [UInt8], on id: UInt32) {
        guard !body.isEmpty else { return }
        exchanges[id]?.waiting = body
        connection.offer(body.count, on: id, now: now)
        if exchanges[id]?.trailers.isEmpty ?? true { connection.finish(id) }
    }

    mutating func receive(_ bytes: [UInt8]) -> [UInt8] {
        // A thousand reads a second.
        now += 1_000_000
        rest += bytes
        let area = rest
        var position = 0
        do throws(HTTP2Error) {
            while true {
                let event = try connection.receive(area.span, at: &position, now: now)
                if event == .needMore { break }
                try take(event, area)
            }
        } catch { failure = "\nfailed \(error)" }
        rest.removeFirst(position)
        return output()
    }

    private mutating func take(_ event: HTTP2Event, _ area: [UInt8]) throws(HTTP2Error) {
        switch event {
        case .request(let id, let endsStream):
            var head = RequestHead()
            var bytes = ByteBuffer()
            connection.takeRequest(&head, &bytes)
            let all = bytes.array
            exchanges[id] = Exchange(
                head: "x-method: \(String(decoding: all[head.methodRange], as: UTF8.self))\r\n"
                    + "x-target: \(String(decoding: all[head.target], as: UTF8.self))\r\n")
            if endsStream { respond(id) }
        case .response(let id, let endsStream):
            var head = ResponseHead()
            var bytes = ByteBuffer()
            connection.takeResponse(&head, &bytes)
            exchanges[id]?.head += "\(head.status)"
            if endsStream { end(id) }
        case .data(let id, let range, let endsStream):
            exchanges[id]?.received += area[range]
            try connection.consumed(range.count, of: id)
            if endsStream { if isServer { respond(id) } else { end(id) } }
        case .trailers(let id):
            var lines = ByteBuffer()
            connection.takeTrailers(&lines)
            exchanges[id]?.trailers = lines.array
            if isServer { respond(id) } else { end(id) }
        case .tooLarge(let id, _):
            let none: [UInt8] = []
            connection.sendResponse(id, status: 431, none.span, endsStream: true)
            connection.release(id)
        case .reset(let id, let code, let isByPeer):
            exchanges[id]?.note = "reset by \(isByPeer ? "peer" : "us") \(code)"
            exchanges[id]?.waiting = []
            connection.release(id)
        case .goAway(let last, let code): failure = "\ngoaway \(last) \(code)"
        case .pong, .settings, .needMore: break
        }
    }

    private mutating func end(_ id: UInt32) {
        exchanges[id]?.note = "done"
        connection.release(id)
    }

    private mutating func respond(_ id: UInt32) {
        guard let exchange = exchanges[id] else { return }
        let isEmpty = exchange.received.isEmpty && exchange.trailers.isEmpty
        let lines = Array(exchange.head.utf8)
        connection.sendResponse(id, status: 200, lines.span, endsStream: isEmpty)
        if isEmpty { return end(id) }
        send(exchange.received, on: id)
        if exchange.received.isEmpty { sendTrailers(id) }
    }

    private mutating func sendTrailers(_ id: UInt32) {
        guard let trailers = exchanges[id]?.trailers, !trailers.isEmpty else { return }
        connection.sendTrailers(id, trailers.span)
        end(id)
    }

    /// All that can be sent now.
    mutating func output() -> [UInt8] {
        var out = ByteBuffer()
        connection.drainControl(into: &out)
        while let turn = connection.nextData(room: 16_384, now: now) {
            turn.appendHeader(to: &out)
            let piece = Array(exchanges[turn.stream]?.waiting.prefix(turn.count) ?? [])
            exchanges[turn.stream]?.waiting.removeFirst(turn.count)
            out.append(piece)
            if isServer, exchanges[turn.stream]?.waiting.isEmpty ?? true {
                if turn.endsStream { end(turn.stream) } else { sendTrailers(turn.stream) }
            }
            connection.drainControl(into: &out)
        }
        return out.array
    }
}
