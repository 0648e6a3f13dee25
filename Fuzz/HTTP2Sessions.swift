import TunnelCore

/// A connection in which the peer and our own side do whatever the bytes say, one after another, fed whole and byte by byte:
/// both tell the same story, no window is overrun, and what we send is in order.
///
/// The first byte chooses role and limits; then each step is a byte and what it needs.
func checkHTTP2Sessions(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    var whole = Session(first, isDrip: false)
    var drip = Session(first, isDrip: true)
    whole.run(bytes.dropFirst())
    drip.run(bytes.dropFirst())
    precondition(whole.story == drip.story, "whole and split input disagree")
    precondition(whole.sent == drip.sent, "whole and split input lead to other bytes")
}

private struct Session: ~Copyable {
    private static let maxStreams = 5

    private var connection: HTTP2Connection
    private let isServer: Bool
    private let isDrip: Bool
    private var now: UInt64 = 1
    private var rest: [UInt8] = []
    private var hasFailed = false
    private var nextStream: UInt32 = 1
    /// Streams that were announced and not released.
    private var open: Set<UInt32> = []
    private(set) var story: [String] = []
    private(set) var sent: [UInt8] = []
    /// What the peer granted on the connection, less what we sent.
    private var granted = 65_535
    private var reader: HTTP2FrameDecoder
    private var decoder = HPACKDecoder(limits: HPACKLimits(maxFields: 1_000, maxListSize: 1 << 20, maxTableSize: 4_096))
    private var list = HPACKFieldList()

    init(_ first: UInt8, isDrip: Bool) {
        isServer = first & 1 == 0
        self.isDrip = isDrip
        var limits = HTTP2Limits()
        limits.maxStreams = Self.maxStreams
        limits.streamWindow = first & 2 == 0 ? 65_535 : 100
        limits.headers = HPACKLimits(maxFields: 12, maxListSize: 1_000, maxTableSize: 4_096)
        limits.maxReplyBytes = 200
        for abuse in HTTP2Abuse.allCases where first & 4 == 0 { limits[abuse] = HTTP2Rate(burst: 20, perSecond: 1) }
        connection = HTTP2Connection(isServer: isServer, limits: limits, now: 1)
        reader = HTTP2FrameDecoder(isServer: !isServer, maxFrameSize: 1 << 20, maxContinuations: 100)
        if first & 8 == 0 {
            feed(
                (isServer ? Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) : []) + frame(4, 0, 0, [])
                    + frame(4, 1, 0, []))
        }
    }

    private func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
        var out = ByteBuffer()
        HTTP2FrameHeader(
            HTTP2FrameType(rawValue: type), flags: HTTP2Flags(rawValue: flags), stream: stream, length: payload.count
        ).append(to: &out)
        return out.array + payload
    }

    /// Block of a request or a response: indices of the static table, and an authority.
    private func head(_ kind: UInt8) -> [UInt8] {
        guard isServer else { return kind & 1 == 0 ? [0x88] : [0x08, 0x03, 0x31, 0x30, 0x33] }
        let start: [UInt8] = [kind & 1 == 0 ? 0x82 : 0x83, 0x87, 0x84, 0x41, 0x01, 0x68]
        return switch kind >> 1 & 3 {
        case 0: start
        case 1: start + [0x0F, 0x0D, 0x01, 0x35]
        case 2: start + [0x40, 0x01, 0x61, 0x01, 0x62]
        default: start + [0xBE]
        }
    }

    mutating func run(_ steps: ArraySlice<UInt8>) {
        var steps = steps
        func number() -> UInt8 { steps.popFirst() ?? 0 }
        while let step = steps.popFirst() {
            let stream = UInt32(step >> 4)
            switch step & 15 {
            case 0:
                feed(frame(1, 4 | number() & 0x0D, nextStream, head(number())))
                nextStream += 2
            case 1: feed(frame(0, number() & 9, stream, [UInt8](repeating: 3, count: Int(number()))))
            case 2: feed(frame(3, 0, stream, [0, 0, 0, 8]))
            case 3:
                let increment = Int(number()) << Int(number() & 31) & 0x7FFF_FFFF
                var update = ByteBuffer()
                HTTP2FrameHeader.appendWindowUpdate(stream, by: increment, to: &update)
                if stream == 0, !hasFailed { granted += increment }
                feed(update.array)
            case 4:
                let entries = (0..<Int(number() & 3)).flatMap { _ -> [UInt8] in
                    [0, number() & 15, number() & 0x80, number() & 1, number(), number()]
                }
                feed(frame(4, 0, 0, entries))
            case 5: feed(frame(6, number() & 1, 0, [UInt8](repeating: step, count: 8)))
            case 6: feed(frame(16, 0, 0, [0, 0, 0, step >> 4, 0x75, 0x3D, number()]))
            case 7:
                let type = number()
                let flags = number()
                let payload = (0..<Int(number() & 31)).map { _ in number() }
                // An update of the connection's window is for step 3, which keeps count.
                if type != 8 { feed(frame(type, flags, stream, payload)) }
            case 8: feed(frame(9, number() & 4, stream, head(number())))
            case 9: feed(frame(1, 4 | number() & 1, stream, number() & 1 == 0 ? [] : head(number())))
            case 10: respond(stream, number())
            case 11: connection.offer(Int(number()) << Int(number() & 15), on: stream, now: now)
            case 12: send()
            case 13:
                do throws(HTTP2Error) { try connection.consumed(Int(number()), of: stream) } catch { fail(error) }
            case 14:
                now += UInt64(number()) * 1_000_000_000
                do throws(HTTP2Error) {
                    while let event = try connection.expire(now: now) { note(event) }
                } catch { fail(error) }
            default:
                let way = number()
                if way & 3 == 0 { connection.finish(stream) }
                if way & 3 == 1 { connection.reset(stream, .cancel) }
                if way & 3 == 2 {
                    connection.release(stream)
                    open.remove(stream)
                }
                if way & 3 == 3 { if way & 4 == 0 { connection.beginDraining() } else { connection.finishDraining() } }
            }
            if step & 0x80 == 0 { drain() }
            precondition(!isServer || connection.streamCount <= Self.maxStreams, "more streams than allowed")
        }
        send()
    }

    private mutating func respond(_ stream: UInt32, _ way: UInt8) {
        let lines = Array("content-type: text/plain\r\nx-a: b\r\n".utf8)
        if !isServer {
            let request = Array(":method: POST\r\n:scheme: https\r\n:authority: h\r\n:path: /\r\n".utf8) + lines
            if let id = connection.sendRequest(request.span, method: .post, endsStream: way & 1 == 0) {
                open.insert(id)
            }
        } else if way & 2 == 0 {
            connection.sendResponse(stream, status: way & 4 == 0 ? 200 : 103, lines.span, endsStream: way & 1 == 0)
        } else {
            connection.sendTrailers(stream, lines.span)
        }
    }

    private mutating func feed(_ bytes: [UInt8]) {
        guard !hasFailed else { return }
        var fed = 0
        while fed < bytes.count, !hasFailed {
            let count = isDrip ? 1 : bytes.count
            // A copy of exactly these bytes: reading past them is seen by the sanitizer.
            let area = rest + bytes[fed..<fed + count]
            fed += count
            var position = 0
            do throws(HTTP2Error) {
                while true {
                    let event = try connection.receive(area.span, at: &position, now: now)
                    if event == .needMore { break }
                    note(event)
                }
            } catch { fail(error) }
            rest = Array(area[position...])
            precondition(hasFailed || rest.count <= HTTP2FrameDecoder.maxUnconsumed, "too much left over")
        }
    }

    private mutating func fail(_ error: HTTP2Error) {
        story.append("\(error.code) \(error.reason)")
        hasFailed = true
        precondition(
            error.code != .enhanceYourCalm || connection.abuse != nil || error.reason.contains("in time")
                || error.reason.contains("over"), "calm without a counter")
    }

    private mutating func note(_ event: HTTP2Event) {
        switch event {
        case .request(let stream, _), .tooLarge(let stream, _):
            precondition(open.insert(stream).inserted, "a stream twice")
        case .data(let stream, let range, let endsStream):
            precondition(open.contains(stream), "data of no stream")
            // Where a payload is cut is up to the reads.
            if let last = story.last, last.hasPrefix("data \(stream) "), !last.hasSuffix("end") {
                let count = Int(last.split(separator: " ")[2]) ?? 0
                story[story.count - 1] = "data \(stream) \(count + range.count)\(endsStream ? " end" : "")"
            } else {
                story.append("data \(stream) \(range.count)\(endsStream ? " end" : "")")
            }
            return
        case .reset(let stream, _, _), .trailers(let stream), .response(let stream, _):
            precondition(open.contains(stream), "word of no stream")
        default: break
        }
        story.append("\(event)")
    }

    /// All data that may go, within what the peer granted.
    private mutating func send() {
        drain()
        var turns = 0
        while turns < 50, let turn = connection.nextData(room: 10_000, now: now) {
            turns += 1
            precondition(turn.count > 0 && open.contains(turn.stream), "a turn of no stream")
            granted -= turn.count
            precondition(granted >= 0, "the connection's window was overrun")
            story.append("turn \(turn)")
        }
    }

    /// What we send is well formed, and its header blocks can be decoded.
    private mutating func drain() {
        var out = ByteBuffer()
        connection.drainControl(into: &out)
        var bytes = out.array
        sent += bytes
        if bytes.starts(with: Array("PRI".utf8)) { bytes.removeFirst(24) }
        var position = 0
        do throws(HTTP2Error) {
            while true {
                let event = try reader.next(in: bytes.span, at: &position)
                if event == .needMore { break }
                guard case .fragment(let range, let endsBlock) = event else { continue }
                precondition(endsBlock, "a block of ours in pieces")
                do throws(HPACKError) { try decoder.decode(bytes.span.extracting(range), into: &list) } catch {
                    preconditionFailure("our block cannot be decoded")
                }
            }
        } catch { preconditionFailure("our frames are refused: \(error)") }
        precondition(position == bytes.count, "half a frame of ours")
    }
}
