internal import TunnelCore
internal import TunnelIO

/// Steps 6 and 7: the response on its way down, and a pipe in both directions.
extension Exchange {
    /// Passes on the final head, and the body behind it.
    func relay(_ server: any ServerStream) async -> ResponseEnd {
        guard let client else { return broken() }
        switch passHead(server, client) {
        case .pipe: return await relayPipe(server, client)
        case .unasked:
            record.fail(.unaskedUpgrade)
            return await respond(502, "The upstream switched protocols unasked", .upstreamFailed)
        case .body: break
        }
        let isWhole = await relayBody(server, client)
        // It ends before its client is given to another exchange.
        if keepAlive != nil { keepAlive = nil }
        guard isWhole else { return broken() }

        // A body that went up with its head has no upload that would wait for its last bytes.
        if upload == .none, client.hasUnsent, client.isPersistent { startUpload() }
        if upload == .running {
            // The response is whole, the request is not. An upstream that stays wants the rest; one that goes does not.
            if client.isPersistent { await finishUpload() } else { await endUpload() }
        }
        if client.isPersistent && server.isBodyComplete && upload != .broken && stopped == nil {
            client.finish(keeps: true)
            self.client = nil
        }
        return .whole
    }

    private enum Passage {
        case body
        case pipe
        /// A 101 that nobody asked for.
        case unasked
    }

    /// Passes the head on, unless what follows is a pipe.
    // Not inlined, as below: what a step needs would stay in the frame of the task that waits between the steps.
    @inline(never)
    private func passHead(_ server: any ServerStream, _ client: any ClientStream) -> Passage {
        releaseRequest(server)
        var switchesTo: Bool?
        client.withHead { head, bytes in
            record.status = head.status
            if head.isEventStream { tally.eventStreamBegan(on: worker) }
            noteResponse(head, bytes)
            if head.status == 101 { switchesTo = head.switchesToWebSocket }
        }
        if let isWebSocket = switchesTo {
            return isWebSocket && server.request.wantsWebSocket && server.isBodyComplete ? .pipe : .unasked
        }
        phase = .relaying
        client.withHead { head, bytes in
            if snapshot.keepsEventStreamsAlive { startKeepAlive(head, bytes, client) }
            server.sendHead(head, bytes, adding: clientLines)
        }
        client.releaseHead()
        return .body
    }

    /// Passes a body on until it is complete.
    ///
    /// - Returns: `false` when it broke off, or the client is gone.
    @inline(never)
    private func relayBody(_ server: any ServerStream, _ client: any ClientStream) async -> Bool {
        var isFirst = true
        var moved = 0
        while true {
            var room = Room.room
            // The head goes at once, with what of the body came in the same read.
            let piece = passPiece(server, client, isFirst: isFirst, &room)
            if room == .full { await waitForClient(server) }
            if case .broken(let isWhole) = piece { return isWhole }
            if stopped != nil { return false }
            switch piece {
            case .complete: return true
            case .moved(let count): moved += count
            case .nothing where !isFirst:
                if keepAlive?.isDue == true {
                    if sendKeepAlive(server) == .full { await waitForClient(server) }
                } else {
                    await client.readable()
                }
                if stopped != nil { return false }
                moved = 0
            case .nothing, .broken: break
            }
            isFirst = false
            if moved > Exchange.turnBytes {
                moved = 0
                await Task.yield()
            }
        }
    }

    private enum Piece {
        case moved(Int)
        case nothing
        case complete
        /// There will be no more of it; whether that can be taken for the whole.
        case broken(isWhole: Bool)
    }

    /// Passes on what is there of the body.
    @inline(never)
    private func passPiece(
        _ server: any ServerStream, _ client: any ClientStream, isFirst: Bool, _ room: inout Room
    ) -> Piece {
        do throws(ClientStreamError) {
            let limit = snapshot.configuration.limits.bufferSize
            let progress = try client.receiveBody(isReading: !isFirst, limit: limit) { buffer, count in
                record.bytesOut += UInt64(count)
                if let keepAlive { buffer.withBytes { keepAlive.took($0.extracting(0..<count)) } }
                tally.counters.movedDown(count)
                server.sendBody(&buffer, count)
            }
            let isComplete = client.isBodyComplete
            if isComplete { server.endBody(trailers: client.trailers) }
            if progress != .nothing || isFirst { room = server.push() }
            if isComplete { return .complete }
            if case .moved(let count) = progress { return .moved(count) }
            return .nothing
        } catch { return .broken(isWhole: ended(client, by: error)) }
    }

    /// The upstream's side of a body has ended before its time.
    ///
    /// - Returns: whether what came can be taken for the whole.
    private func ended(_ client: any ClientStream, by error: ClientStreamError) -> Bool {
        // All that the client said before it ended has arrived; what the upstream still said has nobody to go to. A reset is
        // another thing: it is what comes of closing with bytes unread.
        if phase == .piping && upload == .done && client.unacknowledged == 0 && error.isEndOfStream { return true }
        if stopped == nil {
            record.fail(.brokenOff)
            warn("response from upstream broke off") { line in
                line.field("upstream", record.upstream.map { "\($0)" } ?? "")
                line.field("error", error.reason)
            }
        }
        return false
    }

    /// Passes on a 101; from then on both sides are byte pipes, until either ends.
    @inline(never)
    private func relayPipe(_ server: any ServerStream, _ client: any ClientStream) async -> ResponseEnd {
        phase = .piping
        client.withHead { head, bytes in server.sendHead(head, bytes, adding: clientLines) }
        client.releaseHead()
        client.becomePipe()
        server.becomePipe()
        startUpload()
        let isWhole = await relayBody(server, client)
        if upload == .running && server.end == .orderly && stopped == nil { await uploadEnded() }
        await endUpload()
        patience.cancel()
        if isWhole && (server.end == nil || upload == .done) { return .whole }
        return broken()
    }

    /// What follows when the response did not come whole.
    private func broken() -> ResponseEnd {
        if let end = cutShort() { return end }
        record.end = .upstreamFailed
        return .cut
    }
}
