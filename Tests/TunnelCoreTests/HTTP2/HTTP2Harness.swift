import Testing

@testable import TunnelCore

/// A connection under test, and a peer that writes its frames by hand.
struct HTTP2Harness: ~Copyable {
    var connection: HTTP2Connection
    private var rest: [UInt8] = []
    var now: UInt64 = 1_000_000_000
    /// What `receive` said, in words.
    private(set) var events: [String] = []
    /// The bodies that came, by stream.
    private(set) var bodies: [UInt32: [UInt8]] = [:]
    private(set) var error: HTTP2Error?
    /// Control frames and heads that we sent, in words.
    private(set) var sent: [String] = []
    private var sentFrames: HTTP2FrameDecoder

    /// - Parameter isOpen: the preface and the settings of both sides are behind us.
    init(isServer: Bool = true, limits: HTTP2Limits = HTTP2Limits(), isOpen: Bool = true) {
        connection = HTTP2Connection(isServer: isServer, limits: limits, now: now)
        sentFrames = HTTP2FrameDecoder(isServer: !isServer, maxFrameSize: 1 << 20, maxContinuations: 1_000)
        guard isOpen else { return }
        feed((isServer ? Self.preface : []) + Self.settings() + HTTP2FrameTests.frame(.settings, .ack, 0))
        drain()
        (events, sent) = ([], [])
    }

    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    static func settings(_ entries: (HTTP2Setting, UInt32)...) -> [UInt8] {
        var out = ByteBuffer()
        for (setting, value) in entries { setting.append(value, to: &out) }
        return HTTP2FrameTests.frame(.settings, [], 0, out.array)
    }

    /// A block of `name: value` texts, byte for byte, which leaves the table alone.
    static func block(_ lines: [String]) -> [UInt8] { HTTP2Samples.block(lines) }

    static func headers(_ stream: UInt32, _ lines: [String], end: Bool = true) -> [UInt8] {
        HTTP2FrameTests.frame(.headers, end ? [.endHeaders, .endStream] : .endHeaders, stream, block(lines))
    }

    static func get(_ stream: UInt32, _ more: String..., end: Bool = true) -> [UInt8] {
        headers(stream, HTTP2Samples.get + more, end: end)
    }

    static func post(_ stream: UInt32, _ more: String...) -> [UInt8] {
        headers(stream, [":method: POST"] + HTTP2Samples.get.dropFirst() + more, end: false)
    }

    static func data(_ stream: UInt32, _ count: Int, end: Bool = false) -> [UInt8] {
        HTTP2FrameTests.frame(.data, end ? .endStream : [], stream, [UInt8](repeating: 0x64, count: count))
    }

    static func reset(_ stream: UInt32) -> [UInt8] { HTTP2FrameTests.frame(.resetStream, [], stream, [0, 0, 0, 8]) }

    static func windowUpdate(_ stream: UInt32, _ increment: Int) -> [UInt8] {
        var out = ByteBuffer()
        HTTP2FrameHeader.appendWindowUpdate(stream, by: increment, to: &out)
        return out.array
    }

    /// Feeds bytes, `step` at a time, until the end or an error.
    mutating func feed(_ bytes: [UInt8], step: Int = .max) {
        var fed = 0
        while fed < bytes.count, error == nil {
            let count = min(step, bytes.count - fed)
            rest += bytes[fed..<fed + count]
            fed += count
            var position = 0
            // A copy of exactly these bytes, so that a sanitizer sees who reads past them.
            let (rest, now) = (self.rest, self.now)
            do throws(HTTP2Error) {
                while true {
                    let event = try connection.receive(rest.span, at: &position, now: now)
                    if event == .needMore { break }
                    if case .data(let stream, let range, let endsStream) = event {
                        bodies[stream, default: []] += rest[range]
                        if endsStream { events.append("end \(stream)") }
                    } else {
                        events.append(Self.words(event))
                    }
                }
            } catch { self.error = error }
            self.rest.removeFirst(position)
            if error == nil { #expect(rest.count - position <= HTTP2FrameDecoder.maxUnconsumed) }
        }
        drain()
    }

    /// Takes what the connection wants to send, and puts it in words.
    mutating func drain() {
        var out = ByteBuffer()
        connection.drainControl(into: &out)
        var bytes = out.array
        if bytes.starts(with: Self.preface) { bytes.removeFirst(Self.preface.count) }
        var position = 0
        var event = HTTP2FrameDecoder.Event.needMore
        repeat {
            do throws(HTTP2Error) { event = try sentFrames.next(in: bytes.span, at: &position) } catch {
                Issue.record("we sent \(error)")
                return
            }
            switch event {
            case .reset(let stream, let code): sent.append("reset \(stream) \(code)")
            case .goAway(let last, let code): sent.append("goaway \(last) \(code)")
            case .windowUpdate(let stream, let count): sent.append("window \(stream) \(count)")
            case .headers(let stream, let endsStream, _): sent.append("headers \(stream)\(endsStream ? " end" : "")")
            case .data(let stream, _, _, let endsStream): sent.append("data \(stream)\(endsStream ? " end" : "")")
            case .ping(let opaque, let isAck): sent.append("ping \(opaque)\(isAck ? " ack" : "")")
            case .settingsAck: sent.append("settings ack")
            case .endOfSettings: sent.append("settings")
            default: break
            }
        } while event != .needMore
        #expect(position == bytes.count)
    }

    /// Our own part, with field lines as text.
    @discardableResult
    mutating func respond(
        _ stream: UInt32, _ status: UInt16 = 200, _ lines: String = "content-type: text/plain\r\n", end: Bool = false
    ) -> Bool {
        let lines = Array(lines.utf8)
        return connection.sendResponse(stream, status: status, lines.span, endsStream: end)
    }

    mutating func sendTrailers(_ stream: UInt32) -> Bool {
        let lines = Array("x-sum: 7\r\n".utf8)
        return connection.sendTrailers(stream, lines.span)
    }

    mutating func sendRequest(_ method: TunnelCore.Method = .get, end: Bool = true) -> UInt32? {
        let lines = Array(":method: \(method)\r\n:scheme: https\r\n:authority: h\r\n:path: /\r\nx-a: b\r\n".utf8)
        return connection.sendRequest(lines.span, method: method, endsStream: end)
    }

    mutating func offer(_ count: Int, on stream: UInt32) { connection.offer(count, on: stream, now: now) }

    /// Clears what was noted.
    mutating func forget() { (events, sent) = ([], []) }

    /// All turns that there are now, in order: stream and bytes.
    mutating func turns(room: Int = .max, atMost: Int = 1_000) -> [HTTP2DataTurn] {
        var turns: [HTTP2DataTurn] = []
        while turns.count < atMost, let turn = connection.nextData(room: room, now: now) { turns.append(turn) }
        return turns
    }

    private static func words(_ event: HTTP2Event) -> String {
        switch event {
        case .needMore: "more"
        case .settings: "settings"
        case .request(let stream, let endsStream): "request \(stream)\(endsStream ? " end" : "")"
        case .tooLarge(let stream, _): "too large \(stream)"
        case .response(let stream, let endsStream): "response \(stream)\(endsStream ? " end" : "")"
        case .data: "data"
        case .trailers(let stream): "trailers \(stream)"
        case .reset(let stream, let code, let isByPeer): "reset \(stream) \(code)\(isByPeer ? " by peer" : "")"
        case .goAway(let last, let code): "goaway \(last) \(code)"
        case .pong(let opaque): "pong \(opaque)"
        }
    }
}
