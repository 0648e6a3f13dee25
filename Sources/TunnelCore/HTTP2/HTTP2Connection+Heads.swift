/// Header blocks (RFC 9113 §4.3): gathered within a bound, decoded whole, and read as what they are.
extension HTTP2Connection {
    mutating func beginBlock(
        _ stream: UInt32, _ endsStream: Bool, _ dependsOnItself: Bool, _ now: UInt64
    ) throws(HTTP2Error) {
        blockSince = now
        if let slot = streams.find(stream) {
            if streams.slots[slot].incoming != .done {
                block = .more(stream, endsStream: endsStream)
            } else {
                block = try lateBlock(stream, streams.end(of: stream))
            }
            return
        }
        // §5.1.1: a client opens odd streams, each above the last; a server none here, for push is off.
        guard isServer, stream & 1 == 1 else {
            if !isServer, stream & 1 == 1, !isIdle(stream) {
                block = try lateBlock(stream, streams.end(of: stream))
                return
            }
            throw .protocolError("stream of a number that the peer may not open (RFC 9113 5.1.1)")
        }
        guard stream > lastPeerStream else {
            let end = streams.end(of: stream)
            guard end == .unknown else {
                block = try lateBlock(stream, end)
                return
            }
            guard streams.mayHaveForgotten(stream) else {
                throw .protocolError("stream below the last one (RFC 9113 5.1.1)")
            }
            // We may have reset it, and the peer not have heard of it.
            block = .ignored
            return
        }
        if isTooLate(stream) {
            block = .ignored
            return
        }
        lastPeerStream = stream
        if streams.count >= limits.maxStreams {
            block = .refused(
                stream, HTTP2Error(code: .refusedStream, reason: "over \(limits.maxStreams) streams (RFC 9113 5.1.2)"),
                .refusedStream)
        } else {
            block = .newStream(stream, endsStream: endsStream, dependsOnItself: dependsOnItself)
        }
    }

    /// A block on a stream on which the peer has nothing more to say (§5.1).
    private mutating func lateBlock(_ stream: UInt32, _ end: HTTP2StreamTable.End) throws(HTTP2Error) -> Block {
        switch end {
        // It may have been on its way.
        case .resetByUs: .ignored
        case .resetByPeer: .refused(stream, .streamClosed("HEADERS behind RST_STREAM (RFC 9113 5.1)"), .causedReset)
        case .complete: throw .streamClosed("HEADERS behind the end of a stream (RFC 9113 5.1)")
        case .unknown: .refused(stream, .streamClosed("HEADERS behind END_STREAM (RFC 9113 5.1)"), .causedReset)
        }
    }

    mutating func takeFragment(
        _ range: Range<Int>, _ endsBlock: Bool, _ bytes: Span<UInt8>, _ now: UInt64
    ) throws(HTTP2Error) -> HTTP2Event? {
        if endsBlock, blockBytes.isEmpty {
            try decode(bytes.extracting(range))
        } else {
            guard blockBytes.count + range.count <= limits.headers.maxListSize else {
                abuse = .headerBlock
                throw .calm("header block over \(limits.headers.maxListSize) bytes")
            }
            blockBytes.append(bytes.extracting(range))
            guard endsBlock else { return nil }
            var whole = ByteBuffer()
            swap(&whole, &blockBytes)
            try whole.withBytes { block throws(HTTP2Error) in try decode(block) }
            // Few blocks come in pieces, and fewer large ones.
            if whole.capacity <= 4_096 {
                whole.wipe()
                swap(&whole, &blockBytes)
            }
        }
        blockSince = 0
        let ended = block
        block = .none
        switch ended {
        case .none, .ignored:
            try count(.ignoredFrame, now)
            return nil
        case .refused(let stream, let error, let kind): return try failStream(stream, error, now, kind)
        case .newStream(let stream, let endsStream, let dependsOnItself):
            guard !dependsOnItself else {
                return try failStream(stream, .protocolError("stream depends on itself (RFC 7540 5.3.1)"), now)
            }
            return try openStream(stream, endsStream, now)
        case .more(let stream, let endsStream):
            // Reset meanwhile, between two reads.
            guard let slot = streams.find(stream), streams.slots[slot].incoming != .done else { return nil }
            return try takeMore(slot, endsStream, now)
        }
    }

    private mutating func decode(_ block: Span<UInt8>) throws(HTTP2Error) {
        do throws(HPACKError) { try decoder.decode(block, into: &list) } catch {
            guard error.code == .excessive else { throw HTTP2Error(code: .compressionError, reason: error.reason) }
            abuse = .headerBlock
            throw .calm(error.reason)
        }
    }

    private mutating func openStream(
        _ id: UInt32, _ endsStream: Bool, _ now: UInt64
    ) throws(HTTP2Error) -> HTTP2Event? {
        var stream = HTTP2Stream()
        stream.id = id
        stream.incoming = endsStream ? .done : .body
        stream.window = HTTP2Window(peerStreamWindow)
        stream.credit = streamWindow
        guard !list.isTooLarge else {
            try count(.headerBlock, now)
            _ = streams.insert(stream)
            return .tooLarge(stream: id, endsStream: endsStream)
        }
        do throws(HTTPError) {
            try request.interpret(
                &list, endsStream: endsStream, allowsConnectProtocol: limits.allowsConnectProtocol)
        } catch { return try failStream(id, .protocolError(error.reason), now) }
        stream.method = request.method
        // What follows the head of a WebSocket is no body.
        if case .length(let length) = request.framing, !request.isWebSocketUpgrade {
            stream.expected = Int64(clamping: length)
        }
        if let field = list.bytes.withBytes({ request.priorityField($0) }) {
            stream.priority = list.bytes.withBytes { HTTP2Priority($0.extracting(field)) }
        }
        if let priority = earlyPriorities.take(id) { stream.priority = priority }
        _ = streams.insert(stream)
        return .request(stream: id, endsStream: endsStream)
    }

    /// A further block of a stream: a response, or trailers.
    private mutating func takeMore(_ slot: Int, _ endsStream: Bool, _ now: UInt64) throws(HTTP2Error) -> HTTP2Event? {
        let id = streams.slots[slot].id
        guard !list.isTooLarge else {
            return try failStream(id, .calm("header list over its limit"), now, .headerBlock)
        }
        if streams.slots[slot].incoming == .head { return try takeResponseHead(slot, endsStream, now) }
        guard endsStream else {
            return try failStream(id, .protocolError("trailers without END_STREAM (RFC 9113 8.1)"), now)
        }
        do throws(HTTPError) { try list.keepTrailers() } catch {
            return try failStream(id, .protocolError(error.reason), now)
        }
        guard streams.slots[slot].expected <= 0 else {
            return try failStream(id, .protocolError("body shorter than content-length (RFC 9113 8.1.1)"), now)
        }
        streams.slots[slot].incoming = .done
        return .trailers(stream: id)
    }

    private mutating func takeResponseHead(
        _ slot: Int, _ endsStream: Bool, _ now: UInt64
    ) throws(HTTP2Error) -> HTTP2Event? {
        let stream = streams.slots[slot]
        do throws(HTTPError) {
            try response.interpret(&list, endsStream: endsStream, requestMethod: stream.method)
        } catch { return try failStream(stream.id, .protocolError(error.reason), now) }
        if endsStream {
            streams.slots[slot].incoming = .done
        } else if response.isInformational {
            // One request may have any number of them (RFC 9110 §15.2).
            try count(.ignoredFrame, now)
        } else {
            streams.slots[slot].incoming = .body
            switch response.framing {
            case .length(let length): streams.slots[slot].expected = Int64(clamping: length)
            case .none: streams.slots[slot].expected = 0
            case .chunked, .untilClose: break
            }
        }
        return .response(stream: stream.id, endsStream: endsStream)
    }

    /// The head of the request that `receive` announced last, with its bytes. Takes the memory of what was in both for the next.
    public mutating func takeRequest(_ head: inout RequestHead, _ bytes: inout ByteBuffer) {
        swap(&request, &head)
        list.exchangeBytes(with: &bytes)
    }

    /// The same for the head of a response.
    public mutating func takeResponse(_ head: inout ResponseHead, _ bytes: inout ByteBuffer) {
        swap(&response, &head)
        list.exchangeBytes(with: &bytes)
    }

    /// Gives back the memory that heads and frames went through, which the next ones take anew: for a connection that rests.
    public mutating func releaseMemory() {
        // A block under way, and what waits to be sent, stay.
        if block == .none {
            list = HPACKFieldList()
            blockBytes.release()
        }
        (request, response) = (RequestHead(), ResponseHead())
        if control.isEmpty { control.release() }
        encoder.releaseMemory()
    }

    /// The lines of the trailer section that `receive` announced last, each with its CRLF, less those that may not be passed on.
    public mutating func takeTrailers(_ lines: inout ByteBuffer) { list.exchangeBytes(with: &lines) }
}

extension RequestHead {
    /// The value of the first Priority (RFC 9218 §5).
    fileprivate func priorityField(_ bytes: Span<UInt8>) -> Range<Int>? {
        for field in fields where field.name.count == 8 && bytes.matches(field.name, "priority") { return field.value }
        return nil
    }
}
