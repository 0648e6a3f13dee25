internal import TunnelCore
internal import TunnelIO

extension OwnRequest {
    /// One request and its response by HTTP/2, as they come.
    private struct Stream: ~Copyable {
        var core: HTTP2Connection
        let id: UInt32
        /// Of the request's body, what has not been sent.
        var unsent: ArraySlice<UInt8>
        var status = 0
        var fields: [(name: String, value: String)] = []
        var body: [UInt8] = []
        var isWhole = false

        init(_ request: [UInt8], isSecure: Bool, now: UInt64) throws(Failure) {
            core = HTTP2Connection(isServer: false, now: now)
            var head = RequestHead()
            do throws(HTTPError) {
                guard let size = try head.parse(request.span, limits: HeadLimits()) else {
                    throw HTTPError(status: 400, reason: "request without end")
                }
                unsent = request[size...]
            } catch { throw .malformed(reason: error.reason, first: []) }
            id =
                core.sendRequest(
                    http1: request.span, scheme: isSecure ? "https" : "http", asWebSocket: false,
                    endsStream: unsent.isEmpty, from: head, request.span) ?? 0
            core.offer(unsent.count, on: id, now: now)
            if !unsent.isEmpty { core.finish(id) }
        }

        /// Moves what can be sent now.
        mutating func gather(into out: inout ByteBuffer, now: UInt64) {
            core.drainControl(into: &out)
            while let turn = core.nextData(room: 16_384, now: now) {
                turn.appendHeader(to: &out)
                out.append(Array(unsent.prefix(turn.count)))
                unsent = unsent.dropFirst(turn.count)
            }
        }

        /// Takes what came.
        ///
        /// - Returns: how many bytes.
        mutating func take(_ bytes: Span<UInt8>, limit: Int, now: UInt64) throws(Failure) -> Int {
            var position = 0
            while !isWhole {
                let event: HTTP2Event
                do throws(HTTP2Error) { event = try core.receive(bytes, at: &position, now: now) } catch {
                    throw .malformed(
                        reason: error.reason,
                        first: bytes.extracting(0..<min(64, bytes.count)).withUnsafeBytes { Array($0) })
                }
                switch event {
                case .needMore: return position
                case .response(_, let endsStream): takeHead(endsStream)
                case .data(_, let range, let endsStream):
                    guard body.count + range.count <= limit else { throw .tooLarge(limit: limit) }
                    bytes.extracting(range).withUnsafeBytes { body.append(contentsOf: $0) }
                    do throws(HTTP2Error) { try core.consumed(range.count, of: id) } catch {
                        throw .malformed(reason: error.reason, first: [])
                    }
                    isWhole = endsStream
                case .trailers: isWhole = true
                case .reset(_, let code, let isByPeer):
                    guard isByPeer else { throw .malformed(reason: core.streamError?.reason ?? "\(code)", first: []) }
                    throw status > 0 ? .brokenOff : .malformed(reason: "stream reset: \(code)", first: [])
                case .goAway(let last, let code) where last < id:
                    throw .malformed(reason: "GOAWAY: \(code)", first: [])
                case .settings, .request, .tooLarge, .goAway, .pong: break
                }
            }
            return position
        }

        private mutating func takeHead(_ endsStream: Bool) {
            var head = ResponseHead()
            var bytes = ByteBuffer()
            core.takeResponse(&head, &bytes)
            guard !head.isInformational else { return }
            status = Int(head.status)
            bytes.withBytes { bytes in
                fields = head.fields.map { (name: Self.text(bytes, $0.name), value: Self.text(bytes, $0.value)) }
            }
            isWhole = endsStream
        }

        private static func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
            bytes.extracting(range).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// Who calls it sees to the time.
    static func sendHTTP2(
        _ request: [UInt8], _ method: Method, on connection: ClientConnection, _ limit: Int, _ reactor: Reactor,
        _ isEnough: ([UInt8]) -> Bool
    ) async throws(Failure) -> Response {
        var stream = try Stream(request, isSecure: connection.tlsVersion != nil, now: reactor.now)
        var input = ByteBuffer()
        var output = ByteBuffer()
        var hasBegun = false
        while true {
            stream.gather(into: &output, now: reactor.now)
            let received: Received
            do throws(IOError) {
                if !output.isEmpty, connection.send(&output) == .full { try await connection.flush(stall: 0) }
                received = try connection.receive(into: &input, limit: ResponseReader.bufferLimit)
            } catch { throw failure(error, hasBegun: hasBegun) }
            switch received {
            case .nothing:
                await connection.readable()
                continue
            case .end: throw hasBegun ? .brokenOff : .closed
            case .bytes: hasBegun = true
            }
            let taken = try input.withBytes { bytes throws(Failure) in
                try stream.take(bytes, limit: limit, now: reactor.now)
            }
            input.consume(taken)
            if stream.isWhole || stream.status > 0 && isEnough(stream.body) {
                return Response(status: stream.status, fields: stream.fields, body: stream.body, isReusable: false)
            }
        }
    }
}
