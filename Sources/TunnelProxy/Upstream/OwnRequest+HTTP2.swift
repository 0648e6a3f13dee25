internal import TunnelCore
internal import TunnelIO

extension OwnRequest {
    /// What has come of a response.
    private struct PartialResponse {
        var status = 0
        var fields: [(name: String, value: String)] = []
        var body: [UInt8] = []
        var isWhole = false

        /// - Returns: how many bytes were taken.
        mutating func take(
            _ bytes: Span<UInt8>, from requester: inout HTTP2Requester, limit: Int, now: UInt64
        ) throws(Failure) -> Int {
            var position = 0
            while !isWhole {
                let event: HTTP2Requester.Event
                do throws(HTTP2Error) { event = try requester.next(in: bytes, at: &position, now: now) } catch {
                    throw .malformed(
                        reason: error.reason,
                        first: bytes.extracting(0..<min(64, bytes.count)).withUnsafeBytes { Array($0) })
                }
                switch event {
                case .needMore: return position
                case .head(let status, let fields, _): (self.status, self.fields) = (Int(status), fields)
                case .body(let range):
                    guard body.count + range.count <= limit else { throw .tooLarge(limit: limit) }
                    bytes.extracting(range).withUnsafeBytes { body.append(contentsOf: $0) }
                case .end: isWhole = true
                case .reset(let code, let isByPeer):
                    guard isByPeer else {
                        throw .malformed(reason: requester.streamError?.reason ?? "\(code)", first: [])
                    }
                    throw status > 0 ? .brokenOff : .malformed(reason: "stream reset: \(code)", first: [])
                case .goAway(let code): throw .malformed(reason: "GOAWAY: \(code)", first: [])
                }
            }
            return position
        }
    }

    /// Who calls it sees to the time.
    static func sendHTTP2(
        _ request: [UInt8], on connection: ClientConnection, _ limit: Int, _ reactor: Reactor,
        _ isEnough: ([UInt8]) -> Bool
    ) async throws(Failure) -> Response {
        var requester = HTTP2Requester(now: reactor.now)
        do throws(HTTPError) {
            try requester.begin(request, isSecure: connection.tlsVersion != nil, now: reactor.now)
        } catch { throw .malformed(reason: error.reason, first: []) }
        var received = PartialResponse()
        var input = ByteBuffer()
        var output = ByteBuffer()
        var hasBegun = false
        while true {
            requester.gather(into: &output, now: reactor.now)
            let what: Received
            do throws(IOError) {
                if !output.isEmpty, connection.send(&output) == .full { try await connection.flush(stall: 0) }
                what = try connection.receive(into: &input, limit: ResponseReader.bufferLimit)
            } catch { throw failure(error, hasBegun: hasBegun) }
            switch what {
            case .nothing:
                await connection.readable()
                continue
            case .end: throw hasBegun ? .brokenOff : .closed
            case .bytes: hasBegun = true
            }
            let taken = try input.withBytes { bytes throws(Failure) in
                try received.take(bytes, from: &requester, limit: limit, now: reactor.now)
            }
            input.consume(taken)
            if received.isWhole || received.status > 0 && isEnough(received.body) {
                return Response(
                    status: received.status, fields: received.fields, body: received.body, isReusable: false)
            }
        }
    }
}
