internal import TunnelCore
internal import TunnelIO

/// The upstream's answer on its way down.
extension Exchange {
    /// Pieces up to here are copied behind the head or a chunk header, so that they leave in one record and write.
    private static let maxCopied = 12 * 1024

    /// Passes on the final head in `loop.responseHead` and the body behind it.
    func relayAnswer(
        _ connection: ClientConnection, of upstream: UpstreamAddress, headSize: Int, _ snapshot: ProxySnapshot
    ) async -> Next {
        record.status = loop.responseHead.status
        if record.status == 101 { return await relayUpgrade(connection, headSize, snapshot) }
        let bodyFraming = loop.responseHead.framing
        let framing = loop.responseHead.framing(forMinorVersion: request.minorVersion)
        let keepsClient = request.isPersistent && framing != .untilClose && !isDraining
        let keepsUpstream = loop.responseHead.isPersistent && bodyFraming != .untilClose
        openOutbox()
        inbound.withBytes { bytes in
            loop.responseHead.appendForwarded(
                bytes, framing: framing, connection: keepsClient ? .keepAlive : .close,
                clientMinorVersion: request.minorVersion, into: &outbox)
        }
        inbound.consume(headSize)
        guard
            await relayBody(
                connection, BodyDecoder(bodyFraming, trailerLimits: snapshot.headLimits), as: framing, snapshot)
        else { return broken() }

        // 7 end
        if upload == .running {
            // The answer is whole, the request is not. An upstream that stays wants the rest; one that goes does not.
            if keepsUpstream { await finishUpload(snapshot) } else { await stopUpload() }
        }
        if keepsUpstream && requestBody.isComplete && upload != .refused && inbound.isEmpty && stream?.end == nil {
            self.connection = nil
            loop.upstreams.giveBack(connection, upstream, snapshot)
        }
        return keepsClient && requestBody.isComplete && stream?.end == nil ? .keepAlive : .close
    }

    /// Passes a body on until it is complete.
    ///
    /// - Returns: `false` when it broke off, or the client is gone.
    private func relayBody(
        _ connection: ClientConnection, _ decoder: BodyDecoder, as framing: BodyFraming, _ snapshot: ProxySnapshot
    ) async -> Bool {
        var decoder = decoder
        let limit = snapshot.configuration.limits.bufferSize
        var moved = 0
        guard let stream else { return false }
        do {
            // The head goes at once, with what of the body came in the same read.
            try sendPiece(&decoder, framing, stream)
            while !decoder.isComplete {
                if stream.end != nil { return false }
                try await stream.flush()
                switch try receive(connection, limit: limit) {
                case .nothing:
                    moved = 0
                    await connection.readable()
                case .end:
                    try decoder.endOfInput()
                    try sendPiece(&decoder, framing, stream)
                case .bytes(let count):
                    try sendPiece(&decoder, framing, stream)
                    moved += count
                    if moved > Exchange.turnBytes {
                        moved = 0
                        await Task.yield()
                    }
                }
            }
            try await stream.flush()
            return stream.end == nil || stream.end == .closed
        } catch {
            if stream.end == nil && record.end != .shutdown {
                state.log(.warn, "answer from upstream broke off") { line in
                    labels.writeID(to: &line)
                    line.field("upstream", record.upstream.map { "\($0)" } ?? "")
                    line.field("error", (error as? HTTPError)?.reason ?? "\(error)")
                }
            }
            return false
        }
    }

    /// Decodes what is in `inbound`, frames it for the client and sends it, behind the head if that still waits.
    private func sendPiece(_ decoder: inout BodyDecoder, _ framing: BodyFraming, _ stream: TunnelStream) throws {
        var consumed = 0
        var produced = 0
        if !inbound.isEmpty && !decoder.isComplete {
            (consumed, produced) = try inbound.withMutableBytes { bytes throws(HTTPError) in
                try decoder.decode(inPlace: bytes)
            }
        }
        record.bytesOut += UInt64(produced)
        let isChunked = framing == .chunked
        if produced > Exchange.maxCopied {
            sendOutbox()
            if isChunked { frameInPlace(produced, consumed, stream) } else { sendInbound(produced, stream) }
        } else if produced > 0 {
            openOutbox()
            if isChunked { ChunkedEncoding.appendHeader(size: produced, into: &outbox) }
            inbound.withBytes { outbox.append($0.extracting(0..<produced)) }
            if isChunked { outbox.append(ChunkedEncoding.payloadEnd) }
        }
        if isChunked && decoder.isComplete {
            openOutbox()
            ChunkedEncoding.appendEnd(trailers: decoder.trailers, into: &outbox)
        }
        sendOutbox()
        inbound.consume(consumed)
        if inbound.isEmpty { reactor.buffers.give(&inbound) }
    }

    private func sendInbound(_ count: Int, _ stream: TunnelStream) {
        inbound.withMutableBytes { stream.send(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }

    /// Sends a large chunk without copying it: its header goes right in front of it.
    private func frameInPlace(_ produced: Int, _ consumed: Int, _ stream: TunnelStream) {
        openOutbox()
        ChunkedEncoding.appendHeader(size: produced, into: &outbox)
        let header = outbox.count
        let isInFront = outbox.withMutableBytes { inbound.prepend(UnsafeRawBufferPointer($0)) }
        if isInFront {
            outbox.removeAll()
            sendInbound(header + produced, stream)
            inbound.consume(header)
        } else {
            sendOutbox()
            sendInbound(produced, stream)
            openOutbox()
        }
        outbox.append(ChunkedEncoding.payloadEnd)
    }

    /// What follows when the answer did not come whole.
    private func broken() -> Next {
        if record.end == .shutdown { return .cut }
        if stream?.end != nil { return clientGone() }
        record.end = upload == .malformed ? .badRequest : .upstreamFailed
        return .cut
    }

    // MARK: Upgrade

    /// Passes on a 101; from then on both sides are byte pipes, until either ends.
    private func relayUpgrade(_ connection: ClientConnection, _ headSize: Int, _ snapshot: ProxySnapshot) async -> Next
    {
        guard request.wantsUpgrade, requestBody.isComplete else {
            return answer(502, "The upstream switched protocols unasked", .upstreamFailed)
        }
        openOutbox()
        inbound.withBytes { bytes in
            loop.responseHead.appendForwarded(
                bytes, framing: .none, connection: .upgrade, clientMinorVersion: request.minorVersion, into: &outbox)
        }
        inbound.consume(headSize)
        requestBody = BodyDecoder(.untilClose)
        request.framing = .untilClose
        isPipe = true
        startUpload(snapshot)
        let isWhole = await relayBody(connection, BodyDecoder(.untilClose), as: .untilClose, snapshot)
        if stream?.end == .closed { await uploadEnded() }
        await stopUpload()
        if isWhole { return .close }
        return stream?.end != nil && record.end != .shutdown ? .close : broken()
    }
}
