internal import TunnelCore
internal import TunnelIO

/// Requests by HTTP/2, where the proxy has chosen it in the handshake.
extension FarSide {
    /// - Parameter request: as it would be in HTTP/1.1.
    func exchangeHTTP2(
        _ request: [UInt8], onHead: (Response) throws -> Void, onBody: (Response, [UInt8]) throws -> Void
    ) async throws -> Response {
        // Who leaves a request before its end closes the tunnel, so that nothing is put back then.
        var requester = requester.take() ?? HTTP2Requester(now: reactor.now)
        do throws(HTTPError) { try requester.begin(request, isSecure: true, now: reactor.now) } catch {
            throw FarSideError("\(target): \(error.reason)")
        }
        var response: Response?
        while true {
            var position = 0
            while let (event, piece) = try next(of: &requester, at: &position) {
                switch event {
                case .needMore: break
                case .head(let status, let fields, let isEventStream):
                    let head = Response(
                        status: status, reason: "", isHTTP2: true, isEventStream: isEventStream, fields: fields)
                    response = head
                    try onHead(head)
                case .body: if let response { try onBody(response, piece) }
                case .end:
                    plaintext.consume(position)
                    self.requester = consume requester
                    // There is no end without a head.
                    guard let response else { throw FarSideError("\(target): response without a head") }
                    return response
                case .reset(let code, let isByPeer):
                    let reason = isByPeer ? "\(code)" : requester.streamError?.reason ?? "\(code)"
                    throw FarSideError("\(target): stream reset: \(reason)", isByPeer ? .endedEarly : .other)
                case .goAway(let code): throw FarSideError("\(target): GOAWAY: \(code)", .endedEarly)
                }
            }
            plaintext.consume(position)
            // What was taken may have opened a window.
            var out = ByteBuffer()
            requester.gather(into: &out, now: reactor.now)
            if !out.isEmpty { try await sendPlaintext(out.array) }
            try await receivePlaintext()
        }
    }

    /// - Returns: an event with the bytes of its piece of the body; `nil` when more must come first.
    private func next(
        of requester: inout HTTP2Requester, at position: inout Int
    ) throws -> (HTTP2Requester.Event, [UInt8])? {
        try plaintext.withBytes { bytes in
            let event = try requester.next(in: bytes, at: &position, now: reactor.now)
            switch event {
            case .needMore: return nil
            case .body(let range): return (event, bytes.extracting(range).withUnsafeBytes { Array($0) })
            default: return (event, [])
            }
        }
    }
}
