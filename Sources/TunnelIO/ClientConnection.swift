package import TunnelCore
package import TunnelTLS

/// One connection that we opened, plain or TLS, seen as a byte stream.
///
/// Plain bytes go straight between socket and caller. Records of TLS come into the loop's scratch memory, and what of them
/// finds no room at the caller's is kept here, never more than one read.
package final class ClientConnection: SocketReader, ByteStream {
    package let socket: Socket
    /// The address that was dialled.
    package let address: SocketAddress
    private let reactor: Reactor
    private var engine: TLSEngine?
    /// Records that came and did not fit in the reader's room.
    private var records = ByteBuffer()
    private var hasPendingPlaintext = false
    private var sawCloseNotify = false
    /// Requests sent on it so far; above zero it is a reused one.
    package var exchanges = 0
    /// A login that holds for the connection was named on it, so it serves one client only.
    package var isBound = false
    /// When it was put aside, by the loop's clock.
    package var idleSince: UInt64 = 0
    /// Called when a connection that is put aside says something: it can only be an end.
    private var discard: ((ClientConnection) -> Void)?

    package init(_ socket: Socket, _ address: SocketAddress, on reactor: Reactor) {
        (self.socket, self.address, self.reactor) = (socket, address, reactor)
    }

    // MARK: TLS

    /// Shakes hands as a client; from then on the stream is what is inside TLS.
    ///
    /// - Parameters:
    ///   - protocols: to be offered by ALPN in place of the context's.
    ///   - timeout: nanoseconds for the whole handshake.
    ///   - cancellation: gives up before that.
    package func startTLS(
        _ context: TLSClientContext, serverName: String, offering protocols: [String]? = nil, timeout: UInt64,
        cancellation: Cancellation? = nil
    ) async throws(IOError) {
        let deadline = Deadline(on: reactor) { [unowned self] in socket.close(IOError(.timedOut, "tls handshake")) }
        deadline.set(after: timeout)
        defer { deadline.cancel() }
        cancellation?.arm { [unowned self] in socket.close(IOError(.closed, "tls handshake")) }
        defer { cancellation?.disarm() }
        do {
            engine = try TLSEngine(client: context, serverName: serverName)
            if let protocols { try engine?.offer(protocols) }
            try engine?.start(output: &reactor.staging)
        } catch { throw failed(error) }
        _ = socket.send(&reactor.staging)
        while engine?.isHandshakeComplete == false {
            guard let count = try socket.receive(into: reactor.scratch) else {
                await socket.readable()
                continue
            }
            if count == 0 { throw IOError(.endOfStream, "tls handshake") }
            var early = ByteBuffer()
            records.append(UnsafeRawBufferPointer(rebasing: reactor.scratch[..<count]))
            _ = try decrypt(into: &early, limit: 0)
        }
        try await socket.flush(stall: 0)
    }

    package var tlsVersion: String? { engine?.version?.rawValue }
    /// What the server chose by ALPN; `nil` where it chose nothing.
    package var applicationProtocol: String? { engine?.alpn }
    /// The certificate that the server showed, in DER.
    package var peerCertificate: [UInt8]? { engine?.peerCertificate }

    private func decrypt(into buffer: inout ByteBuffer, limit: Int) throws(IOError) -> Int {
        let before = buffer.count
        var failure: TLSError?
        var consumed = 0
        records.withMutableBytes { bytes in
            do throws(TLSError) {
                guard
                    let progress = try engine?.process(
                        UnsafeRawBufferPointer(bytes), plaintext: &buffer, plaintextLimit: limit,
                        output: &reactor.staging)
                else { return }
                consumed = progress.consumed
                hasPendingPlaintext = progress.hasPending
                sawCloseNotify = progress.isClosed
            } catch { failure = error }
        }
        // An alert, or the end of our side of a handshake.
        if !reactor.staging.isEmpty { _ = socket.send(&reactor.staging) }
        if let failure { throw failed(failure) }
        records.consume(consumed)
        if records.isEmpty { records.release() }
        return buffer.count - before
    }

    private func failed(_ error: TLSError) -> IOError {
        // The alert says why; and nothing may stay behind for the next user of the staging buffer.
        _ = socket.send(&reactor.staging)
        let failure = IOError(.tls, error.operation, detail: error.reason)
        socket.close(failure)
        return failure
    }

    // MARK: Bytes

    /// Appends what is there to `buffer`.
    ///
    /// - Parameter limit: bytes that `buffer` may hold in the end.
    package func receive(into buffer: inout ByteBuffer, limit: Int) throws(IOError) -> Received {
        guard limit > buffer.count else { return .nothing }
        if engine == nil { return try socket.receive(into: &buffer, limit: limit) }
        while true {
            if !records.isEmpty || hasPendingPlaintext {
                let count = try decrypt(into: &buffer, limit: limit)
                if count > 0 { return .bytes(count) }
            }
            if sawCloseNotify { return .end }
            guard let count = try socket.receive(into: reactor.scratch) else { return .nothing }
            // RFC 8446 §6.1: without close_notify the data may have been cut short.
            if count == 0 { throw IOError(.endOfStream, "read") }
            records.append(UnsafeRawBufferPointer(rebasing: reactor.scratch[..<count]))
        }
    }

    package func resumeWhenReadable(_ waiter: UnsafeContinuation<Void, Never>) {
        if hasPendingPlaintext || sawCloseNotify { return waiter.resume() }
        socket.resumeWhenReadable(waiter)
    }

    package func wake() { socket.wake() }

    package var ended: StreamEnd? { sawCloseNotify ? .orderly : socket.ended }
    package var onEnd: (() -> Void)? {
        get { socket.onEnd }
        set { socket.onEnd = newValue }
    }
    package var readsBeforeEnd: Bool {
        get { socket.readsBeforeEnd }
        set { socket.readsBeforeEnd = newValue }
    }

    package func send(_ bytes: UnsafeRawBufferPointer) -> Room {
        guard engine != nil else { return socket.send(bytes) }
        do { try engine?.write(bytes, output: &reactor.staging) } catch {
            _ = failed(error)
            return .room
        }
        return socket.send(&reactor.staging)
    }

    package func flush(stall: UInt64 = 0) async throws(IOError) { try await socket.flush(stall: stall) }

    package var hasSentAll: Bool { socket.hasSentAll }

    /// Says that no more will be sent: close_notify in TLS, then the end of the stream. What the peer says is still read.
    package func shutdownWrite() {
        engine?.close(output: &reactor.staging)
        if !reactor.staging.isEmpty { _ = socket.send(&reactor.staging) }
        socket.shutdownWrite()
    }

    /// Ends it with a reset and without close_notify, so that the peer cannot take what it has for the whole.
    package func reset(_ reason: IOError) { socket.reset(reason) }

    package func close(_ reason: IOError = IOError(.closed, "connection")) {
        if socket.failure == nil {
            engine?.close(output: &reactor.staging)
            if !reactor.staging.isEmpty { _ = socket.send(&reactor.staging) }
        }
        socket.close(reason)
    }

    // MARK: Put aside

    /// Whether the peer has ended it, or sent something that nobody asked for.
    package var hasInput: Bool { hasPendingPlaintext || !records.isEmpty || sawCloseNotify || socket.hasInput }

    /// Whether the peer has neither ended it nor said anything that nobody asked for. TLS session tickets, which come
    /// unasked for, are read.
    ///
    /// - Parameter asking: asks the kernel also where no report says that there is something.
    func isQuiet(asking: Bool) -> Bool {
        if hasPendingPlaintext || !records.isEmpty || sawCloseNotify || socket.failure != nil || socket.sawHangUp {
            return false
        }
        guard asking ? socket.peek() : socket.hasInput else { return true }
        guard engine != nil else { return false }
        var unexpected = ByteBuffer()
        // Tickets are few.
        for _ in 0..<4 {
            guard let count = try? socket.receive(into: reactor.scratch) else {
                return socket.failure == nil && !socket.sawHangUp && records.isEmpty
            }
            records.append(UnsafeRawBufferPointer(rebasing: reactor.scratch[..<count]))
            guard count > 0, (try? decrypt(into: &unexpected, limit: 1)) == 0, !sawCloseNotify, !hasPendingPlaintext
            else { return false }
        }
        return false
    }

    /// Asks the kernel for what has come and was not reported yet: the next receive finds it.
    package func ask() { _ = socket.peek() }

    /// Watches for the peer's end while no request is under way.
    package func putAside(discard: @escaping (ClientConnection) -> Void) {
        self.discard = discard
        idleSince = reactor.now
        socket.reader = self
    }

    /// Takes it up again.
    package func takeUp() {
        socket.reader = nil
        discard = nil
    }

    package func socketBecameReadable() {
        // TLS session tickets come unasked for after the handshake; anything else is an end.
        if engine != nil, let count = try? socket.receive(into: reactor.scratch), count > 0 {
            var unexpected = ByteBuffer()
            records.append(UnsafeRawBufferPointer(rebasing: reactor.scratch[..<count]))
            if (try? decrypt(into: &unexpected, limit: 1)) == 0, !sawCloseNotify, !socket.sawHangUp { return }
        } else if !socket.hasInput {
            return
        }
        discard?(self)
    }

    package func socketFailed(_ error: IOError) { discard?(self) }
}
