internal import TunnelCore
internal import TunnelIO

/// Steps 6 and 7: the response on its way down, and a pipe in both directions.
extension Exchange {
    /// Passes on the final head, and the body behind it.
    func relay(_ server: any ServerStream, _ client: any ClientStream) async -> ResponseEnd {
        releaseRequest(server)
        var switchesTo: Bool?
        client.withHead { head, _ in
            record.status = head.status
            if head.status == 101 { switchesTo = head.switchesToWebSocket }
        }
        if let isWebSocket = switchesTo {
            guard isWebSocket, server.request.wantsWebSocket, server.isBodyComplete else {
                return await respond(502, "The upstream switched protocols unasked", .upstreamFailed)
            }
            return await relayPipe(server, client)
        }
        phase = .relaying
        client.withHead { head, bytes in server.sendHead(head, bytes) }
        client.releaseHead()
        guard await relayBody(server, client) else { return broken() }

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

    /// Passes a body on until it is complete.
    ///
    /// - Returns: `false` when it broke off, or the client is gone.
    private func relayBody(_ server: any ServerStream, _ client: any ClientStream) async -> Bool {
        let limit = snapshot.configuration.limits.bufferSize
        var isFirst = true
        var moved = 0
        do throws(ClientStreamError) {
            while true {
                // The head goes at once, with what of the body came in the same read.
                let progress = try client.receiveBody(isReading: !isFirst, limit: limit) { buffer, count in
                    record.bytesOut += UInt64(count)
                    server.sendBody(&buffer, count)
                }
                let isComplete = client.isBodyComplete
                if isComplete { server.endBody(trailers: client.trailers) }
                if progress != .nothing || isFirst {
                    if server.push() == .full { await waitForClient(server) }
                }
                if stopped != nil { return false }
                if isComplete { return true }
                switch progress {
                case .moved(let count): moved += count
                case .nothing where !isFirst:
                    await client.readable()
                    if stopped != nil { return false }
                    moved = 0
                case .nothing, .end: break
                }
                isFirst = false
                if moved > Exchange.turnBytes {
                    moved = 0
                    await Task.yield()
                }
            }
        } catch {
            // All that the client said before it ended has arrived; what the upstream still said has nobody to go to. A
            // reset is another thing: it is what comes of closing with bytes unread.
            if phase == .piping && upload == .done && client.unacknowledged == 0 && error.isEndOfStream { return true }
            if stopped == nil {
                warn("response from upstream broke off") { line in
                    line.field("upstream", record.upstream.map { "\($0)" } ?? "")
                    line.field("error", error.reason)
                }
            }
            return false
        }
    }

    /// Passes on a 101; from then on both sides are byte pipes, until either ends.
    private func relayPipe(_ server: any ServerStream, _ client: any ClientStream) async -> ResponseEnd {
        phase = .piping
        client.withHead { head, bytes in server.sendHead(head, bytes) }
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
