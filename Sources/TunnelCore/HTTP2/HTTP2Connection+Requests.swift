/// What a proxy needs that passes requests on to an upstream (client).
extension HTTP2Connection {
    /// Requests that may be sent now.
    package var freeStreams: Int {
        guard !isServer, phase != .failed, !isPeerDraining, nextOwnStream < HTTP2FrameHeader.maxStream else { return 0 }
        return max(0, peerMaxStreams - streams.count)
    }

    /// The most streams that the peer takes at once; `nil` as long as it has not said.
    package var maxOwnStreams: Int? { peerMaxStreams == .max ? nil : peerMaxStreams }

    /// Opens a stream with a request as `RequestHead.appendForwarded` writes it for HTTP/1.1: so that which fields go on, and
    /// what they say, is the same for both versions.
    ///
    /// Request line and Host become pseudo-header fields (RFC 9113 §8.3.1), and the fields of a connection of HTTP/1.1 are left
    /// out, `TE: trailers` excepted (§8.2.2). What asks for WebSocket becomes an extended CONNECT (RFC 8441 §5).
    ///
    /// - Parameters:
    ///   - head: request line and field lines, and the empty line that ends them; what is behind that is not looked at.
    ///   - original: where the fields came from, read from `bytes`: those that must never be indexed stay so.
    /// - Returns: the stream; `nil` while the peer takes no more of them.
    package mutating func sendRequest(
        http1 head: Span<UInt8>, scheme: StaticString, asWebSocket: Bool, endsStream: Bool,
        from original: borrowing RequestHead, _ bytes: Span<UInt8>
    ) -> UInt32? {
        guard let line = RequestLine(head),
            let stream = openOwnStream(method: asWebSocket ? .connect : line.knownMethod(head), endsStream: endsStream)
        else { return nil }
        let start = control.beginHeaders()
        encoder.begin(into: &control)
        encode(":method", asWebSocket ? "CONNECT" : nil, head, line.method)
        encode(":scheme", scheme, head, 0..<0)
        var position = line.end
        while position < head.count, head[position] != HTTPByte.carriageReturn,
            let field = FieldLine(head, from: position)
        {
            position = field.end
            if FieldName(field.name, in: head) == .host { encode(":authority", nil, head, field.value) }
        }
        encode(":path", nil, head, line.target)
        if asWebSocket { encode(":protocol", "websocket", head, 0..<0) }
        encodeFields(head, from: line.end, asWebSocket: asWebSocket, original, bytes)
        control.endHeaders(from: start, stream: stream, endsStream: endsStream, maxFrameSize: peerMaxFrameSize)
        promiseBody(ofRequest: stream)
        return stream
    }

    private mutating func encodeFields(
        _ head: Span<UInt8>, from start: Int, asWebSocket: Bool, _ original: borrowing RequestHead,
        _ bytes: Span<UInt8>
    ) {
        let hasSecrets = original.fields.contains(where: \.isNeverIndexed)
        var position = start
        while position < head.count, head[position] != HTTPByte.carriageReturn,
            let field = FieldLine(head, from: position)
        {
            position = field.end
            let name = FieldName(field.name, in: head)
            let isKept =
                switch name {
                case .host: false
                // What follows the head of a WebSocket is no body.
                case .secWebSocketKey, .contentLength: !asWebSocket
                case .te: field.isTrailersInTE(head)
                default: !HopByHop.isHopByHop(name)
                }
            guard isKept else { continue }
            let isSecret = hasSecrets && original.neverIndexes(head, field.name, bytes)
            encoder.encode(
                name: head.extracting(field.name), value: head.extracting(field.value),
                indexing: isSecret ? .never : .automatic, into: &control)
        }
    }

    /// Encodes a pseudo-header field with the value `fixed`, or the one at `range`.
    private mutating func encode(
        _ name: StaticString, _ fixed: StaticString?, _ bytes: Span<UInt8>, _ range: Range<Int>
    ) {
        // SAFETY: a StaticString's memory is constant, and has utf8CodeUnitCount bytes.
        let nameBytes = UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
        if let fixed {
            let value = UnsafeBufferPointer(start: fixed.utf8Start, count: fixed.utf8CodeUnitCount)
            encoder.encode(name: nameBytes.span, value: value.span, into: &control)
        } else {
            encoder.encode(name: nameBytes.span, value: bytes.extracting(range), into: &control)
        }
    }
}

/// Where the parts of a request line lie that was written by us.
private struct RequestLine {
    let method: Range<Int>
    let target: Range<Int>
    /// Behind its CRLF.
    let end: Int

    init?(_ bytes: Span<UInt8>) {
        var position = 0
        while position < bytes.count, bytes[position] != HTTPByte.space { position += 1 }
        method = 0..<position
        let start = position + 1
        while position < bytes.count, bytes[position] != HTTPByte.carriageReturn { position += 1 }
        let version = " HTTP/1.1".utf8.count
        guard !method.isEmpty, position + 1 < bytes.count, position - version > start else { return nil }
        target = start..<position - version
        end = position + 2
    }

    func knownMethod(_ bytes: Span<UInt8>) -> Method { Method(method, in: bytes) }
}

extension RequestHead {
    /// One of the fields with that name was marked as never to be indexed.
    fileprivate func neverIndexes(_ line: Span<UInt8>, _ name: Range<Int>, _ bytes: Span<UInt8>) -> Bool {
        for field in fields where field.isNeverIndexed && field.name.count == name.count {
            var index = 0
            while index < name.count,
                line[name.lowerBound + index].asciiLowercase == bytes[field.name.lowerBound + index].asciiLowercase
            {
                index += 1
            }
            if index == name.count { return true }
        }
        return false
    }
}
