internal import TunnelCore
internal import TunnelIO

/// The request's body on its way up, in a task of its own, so that an answer may come and go on meanwhile.
extension Exchange {
    /// Bytes that a direction moves before others on the loop get their turn.
    static let turnBytes = 1 << 20

    func startUpload(_ snapshot: ProxySnapshot) {
        upload = .running
        reactor.spawn(with: self) { exchange in await exchange.uploadBody(snapshot) }
    }

    /// Before the request goes to another connection: an upload that waits for the body's first byte must not send it
    /// to the old one. It begins anew behind the head.
    func resetUpload() async {
        await stopUpload()
        upload = .idle
        isUploadCancelled = false
    }

    /// Ends an upload that is still under way, and waits for its task.
    func stopUpload() async {
        guard upload == .running else { return }
        isUploadCancelled = true
        connection?.close(IOError(.closed, "exchange"))
        stream?.wake()
        await uploadEnded()
    }

    /// Waits until the upload's task is over.
    func uploadEnded() async {
        if upload == .running { await withUnsafeContinuation { uploadWaiter = $0 } }
    }

    /// Waits for the rest of a request whose answer is whole, as long as it moves: an upstream that has answered may
    /// never read it, and a client may never send it.
    func finishUpload(_ snapshot: ProxySnapshot) async {
        uploadSeen = record.bytesIn
        uploadPatienceTime = snapshot.headerTimeout
        reactor.set(uploadPatience, after: uploadPatienceTime)
        await uploadEnded()
        reactor.remove(uploadPatience)
    }

    /// Ends an upload that has not moved since the last look.
    func checkUpload() {
        guard upload == .running else { return }
        if record.bytesIn > uploadSeen {
            uploadSeen = record.bytesIn
            reactor.set(uploadPatience, after: uploadPatienceTime)
            return
        }
        isUploadCancelled = true
        connection?.close(IOError(.timedOut, "upload"))
        stream?.wake()
    }

    private func uploadBody(_ snapshot: ProxySnapshot) async {
        upload = await moveBody()
        if isPipe && stream?.end != nil { connection?.close(IOError(.closed, "client")) }
        awaitHead(snapshot)
        uploadWaiter?.resume()
        uploadWaiter = nil
    }

    private func moveBody() async -> Upload {
        guard let stream else { return .refused }
        var moved = 0
        while !requestBody.isComplete {
            if isUploadCancelled { return .refused }
            if stream.end != nil {
                // Half a request is of no use; a pipe delivers what was said before it was closed.
                guard isPipe, stream.end == .closed, !stream.plaintext.isEmpty else { return .refused }
            } else if stream.plaintext.isEmpty {
                await stream.readable()
                continue
            }
            do throws(HTTPError) { moved += try sendPiece(stream) } catch {
                state.log(.warn, "bad request") { line in
                    labels.writeID(to: &line)
                    line.field("reason", error.reason)
                }
                upload = .malformed
                connection?.close(IOError(.closed, "malformed body"))
                return .malformed
            }
            guard let connection else { return .refused }
            do throws(IOError) { try await connection.flush() } catch { return .refused }
            if moved > Exchange.turnBytes {
                moved = 0
                await Task.yield()
            }
        }
        return .done
    }

    /// Sends what of the body is here; how many bytes were taken.
    private func sendPiece(_ stream: TunnelStream) throws(HTTPError) -> Int {
        uploadHasSent = true
        let consumed = try stream.plaintext.withMutableBytes { bytes throws(HTTPError) in
            let (consumed, produced) = try requestBody.decode(inPlace: bytes)
            let payload = UnsafeRawBufferPointer(rebasing: bytes[..<produced])
            if request.framing == .chunked {
                var framed = reactor.buffers.take()
                appendBody(payload, to: &framed)
                framed.withMutableBytes { send(UnsafeRawBufferPointer($0)) }
                reactor.buffers.give(&framed)
            } else {
                record.bytesIn += UInt64(produced)
                send(payload)
            }
            return consumed
        }
        stream.consume(consumed)
        return consumed
    }

    private func send(_ bytes: UnsafeRawBufferPointer) {
        // A failure shows at the next flush.
        do throws(IOError) { try connection?.send(bytes) } catch {}
    }
}
