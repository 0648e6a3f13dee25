internal import TunnelCore
internal import TunnelIO

/// The request's body on its way up, in a task of its own, so that a response may come and go on meanwhile.
extension Exchange {
    /// Once an upstream has all of a pipe's bytes, it may take so long to end its own side.
    private static let lingerTimeout: UInt64 = 5_000_000_000
    /// How often a lingering pipe is looked at: the kernel does not report that bytes were acknowledged.
    private static let lingerInterval: UInt64 = 250_000_000

    func startUpload() {
        (upload, uploadIsUnderWay) = (.running, true)
        worker.reactor.spawn(with: self) { exchange in await exchange.runUpload() }
    }

    /// Before the request goes to another connection: an upload that waits for the body's first byte must not send it
    /// to the old one. It begins anew behind the head.
    @inline(never)
    func restartUpload() async {
        // Its end must not start the clock for a response.
        phase = .connecting
        guard upload == .running else { return }
        upload = .broken
        server?.wakeBody()
        await uploadEnded()
        upload = .none
    }

    /// Ends an upload that is still under way, and waits for its task.
    @inline(__always)
    func endUpload() async { if uploadIsUnderWay { await cutUpload() } }

    @inline(never)
    private func cutUpload() async {
        upload = .broken
        client?.cut(IOError(.closed, "exchange"))
        server?.wakeBody()
        await uploadEnded()
    }

    /// Waits until the upload's task is over.
    @inline(never)
    func uploadEnded() async {
        if uploadIsUnderWay { await withUnsafeContinuation { uploadWaiter = $0 } }
    }

    /// Waits for the rest of a request whose response is whole, as long as it moves: an upstream that has responded may
    /// never read it, and a client may never send it.
    @inline(never)
    func finishUpload() async {
        lastSeen = record.bytesIn
        patience.set(after: snapshot.headerTimeout)
        await uploadEnded()
        patience.cancel()
    }

    /// Looks whether an upload for which somebody waits has moved.
    func checkUpload() {
        if phase == .piping { return checkLinger() }
        guard upload == .running else { return }
        guard record.bytesIn > lastSeen else { return stop(.uploadStuck) }
        lastSeen = record.bytesIn
        patience.set(after: snapshot.headerTimeout)
    }

    private func runUpload() async {
        let isWhole = await moveBody()
        uploadIsUnderWay = false
        if upload == .running { upload = isWhole ? .done : .broken }
        if phase == .piping && upload == .done { linger() }
        armHeadDeadline()
        uploadWaiter?.resume()
        uploadWaiter = nil
    }

    /// - Returns: whether all of the body went up.
    private func moveBody() async -> Bool {
        guard let server else { return false }
        let limit = snapshot.configuration.limits.bufferSize
        var moved = 0
        while true {
            guard upload == .running, stopped == nil, let client else { return false }
            let progress: BodyProgress
            do throws(HTTPError) {
                progress = try server.receiveBody(limit: limit) { bytes in
                    client.sendBody(bytes)
                    look(at: bytes)
                }
            } catch {
                warn("bad request") { line in line.field("reason", error.reason) }
                stop(.bodyMalformed)
                return false
            }
            switch progress {
            case .nothing:
                if server.end != nil { return false }
                moved = 0
                if await !server.bodyReadable() {
                    stop(.bodyOverdue)
                    return false
                }
                continue
            case .moved(let count):
                hasUploaded = true
                record.bytesIn += UInt64(count)
                tally.counters.movedUp(count)
                moved += count
                if server.isBodyComplete { client.endBody(trailers: server.trailers) }
            case .end: break
            }
            if client.push() == .full {
                // An upstream may take its time: its client waits as well, and can go.
                do throws(IOError) { try await client.flush() } catch { return false }
            }
            if server.isBodyComplete { return await isSent(client) }
            if moved > Exchange.turnBytes {
                moved = 0
                await Task.yield()
            }
        }
    }

    /// Waits until the upstream has taken the body's last bytes. Those of a pipe have a watch of their own.
    private func isSent(_ client: any ClientStream) async -> Bool {
        guard client.hasUnsent, phase != .piping else { return true }
        do throws(IOError) { try await client.flush() } catch { return false }
        return true
    }

    // MARK: The end of a pipe

    /// The client has said its last byte, and our kernel has it. The upstream gets the end behind it, and the time to read:
    /// a connection that is closed with something unread takes with it what is still on its way.
    private func linger() {
        client?.finishSending()
        (lastSeen, lastMoved) = (.max, worker.reactor.now)
        patience.set(after: Exchange.lingerInterval)
    }

    private func checkLinger() {
        guard let client, stopped == nil else { return }
        let left = UInt64(client.unacknowledged)
        if left < lastSeen { (lastSeen, lastMoved) = (left, worker.reactor.now) }
        let still = worker.reactor.now &- lastMoved
        if left == 0 && still >= Exchange.lingerTimeout {
            // All of it arrived; that the upstream does not end its side is not the client's loss.
            return client.close(IOError(.endOfStream, "pipe"))
        }
        if left > 0 && snapshot.sendTimeout > 0 && still >= snapshot.sendTimeout { return stop(.pipeStalled) }
        patience.set(after: Exchange.lingerInterval)
    }
}
