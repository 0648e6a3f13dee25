import TunnelCore

/// Responds to every request of one HTTP/2 connection with its method, host and path, and the number of bytes in its body.
final class HTTP2Server: Speaker {
    private struct Stream {
        var description: String
        var received = 0
        /// What is offered and not sent yet.
        var body: [UInt8] = []
    }

    private var connection: HTTP2Connection
    private var streams: [UInt32: Stream] = [:]
    private var input: [UInt8] = []
    private var output = ByteBuffer()
    private var head = RequestHead()
    private var bytes = ByteBuffer()
    private(set) var isFinished = false

    init(now: UInt64) { connection = HTTP2Connection(isServer: true, now: now) }

    var deadline: UInt64? { connection.deadline }

    func expire(now: UInt64) {
        do {
            if let event = try connection.expire(now: now) { take(event, now) }
        } catch {
            isFinished = true
        }
        send(now)
    }

    func takeOutput() -> [UInt8] {
        defer { output.removeAll() }
        return output.array
    }

    func receive(_ bytes: ArraySlice<UInt8>, now: UInt64) {
        input += bytes
        var position = 0
        do {
            while case let event = try connection.receive(input.span, at: &position, now: now), event != .needMore {
                take(event, now)
                if case .data(let stream, let range, _) = event { try connection.consumed(range.count, of: stream) }
            }
        } catch {
            // GOAWAY with the reason is in the output.
            isFinished = true
        }
        input.removeFirst(position)
        send(now)
    }

    private func take(_ event: HTTP2Event, _ now: UInt64) {
        switch event {
        case .request(let stream, let endsStream):
            connection.takeRequest(&head, &bytes)
            let text = bytes.array
            let parts = [head.methodRange, head.authority, head.path].map { String(decoding: text[$0], as: UTF8.self) }
            streams[stream] = Stream(description: parts.joined(separator: " "))
            if endsStream { respond(stream, now) }
        case .data(let stream, let range, let endsStream):
            streams[stream]?.received += range.count
            if endsStream { respond(stream, now) }
        case .trailers(let stream): respond(stream, now)
        case .tooLarge(let stream, _):
            connection.sendResponse(stream, status: 431, [UInt8]().span, endsStream: true)
            connection.release(stream)
        case .reset(let stream, _, _):
            streams[stream] = nil
            connection.release(stream)
        case .needMore, .settings, .response, .goAway, .pong: break
        }
    }

    private func respond(_ stream: UInt32, _ now: UInt64) {
        guard let request = streams[stream] else { return }
        let body = Array("\(request.description) \(request.received)\n".utf8)
        let lines = Array("content-type: text/plain\r\ncontent-length: \(body.count)\r\n".utf8)
        streams[stream]?.body = body
        connection.sendResponse(stream, status: 200, lines.span)
        connection.offer(body.count, on: stream, now: now)
        connection.finish(stream)
    }

    /// Control frames and heads first, then bodies in turn, as far as the client's windows are open.
    private func send(_ now: UInt64) {
        connection.drainControl(into: &output)
        while let turn = connection.nextData(room: 16_384, now: now) {
            turn.appendHeader(to: &output)
            guard var stream = streams[turn.stream] else { break }
            output.append(Array(stream.body.prefix(turn.count)))
            stream.body.removeFirst(turn.count)
            streams[turn.stream] = stream
            if turn.endsStream {
                streams[turn.stream] = nil
                connection.release(turn.stream)
            }
            connection.drainControl(into: &output)
        }
    }
}
