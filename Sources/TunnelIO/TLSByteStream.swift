package import TunnelCore
package import TunnelTLS

/// A client's TLS session inside another byte stream: one through a tunnel that a proxy has opened inside its own TLS.
///
/// ``ClientConnection`` has TLS on a socket without the copy that this one makes. The stream underneath stays its
/// owner's: who gives up closes that, and every wait here ends.
package final class TLSByteStream: ByteStream {
    private static let usualRead = 16_384

    private let carrier: any ByteStream
    private var engine: TLSEngine
    /// Records that came and did not fit in the reader's room.
    private var records = ByteBuffer()
    /// Not the loop's, which a carrier in TLS needs for its own records while it takes these.
    private var output = ByteBuffer()
    private var hasPendingPlaintext = false
    /// Why the session itself is over.
    private var failure: IOError?
    /// Why the stream underneath is over, when it is and nobody has said so inside: the far side has no part in it.
    package private(set) var carrierFailure: IOError?

    /// - Parameter serverName: host name or address, which the server's certificate must name.
    /// - Throws: `.tls` for a name that is neither.
    package init(over carrier: any ByteStream, client: TLSClientContext, serverName: String) throws(IOError) {
        self.carrier = carrier
        do throws(TLSError) { engine = try TLSEngine(client: client, serverName: serverName) } catch {
            throw IOError(.tls, error.operation, detail: error.reason)
        }
    }

    /// Shakes hands; nothing else is sent or read before.
    ///
    /// - Parameter timeout: nanoseconds for the whole handshake.
    package func shakeHands(timeout: UInt64, on reactor: Reactor) async throws(IOError) {
        var hasExpired = false
        let deadline = Deadline(on: reactor) { [unowned self] in
            hasExpired = true
            carrier.wake()
        }
        deadline.set(after: timeout)
        defer { deadline.cancel() }
        do throws(TLSError) { try engine.start(output: &output) } catch { throw failed(error) }
        _ = carrier.send(&output)
        var early = ByteBuffer()
        while !engine.isHandshakeComplete {
            guard !hasExpired else { throw IOError(.timedOut, "tls handshake") }
            guard try take() else {
                await carrier.readable()
                continue
            }
            _ = try decrypt(into: &early, limit: 0)
            if engine.isClosed { throw IOError(.endOfStream, "tls handshake") }
        }
        try await flush(stall: timeout)
    }

    // MARK: Reading

    package func receive(into buffer: inout ByteBuffer, limit: Int) throws(IOError) -> Received {
        guard limit > buffer.count else { return .nothing }
        if let failure { throw failure }
        while true {
            if !records.isEmpty || hasPendingPlaintext {
                let count = try decrypt(into: &buffer, limit: limit)
                if count > 0 { return .bytes(count) }
            }
            if engine.isClosed { return .end }
            guard try take() else { return .nothing }
        }
    }

    /// Takes what the stream underneath has; `false` when that is nothing now.
    private func take() throws(IOError) -> Bool {
        do throws(IOError) {
            switch try carrier.receive(into: &records, limit: records.count + Self.usualRead) {
            case .bytes: return true
            case .nothing: return false
            // RFC 8446 §6.1: without close_notify of this session the data may have been cut short.
            case .end: throw IOError(.endOfStream, "read")
            }
        } catch {
            carrierFailure = error
            throw error
        }
    }

    private func decrypt(into buffer: inout ByteBuffer, limit: Int) throws(IOError) -> Int {
        let before = buffer.count
        var tlsFailure: TLSError?
        var consumed = 0
        records.withMutableBytes { bytes in
            do throws(TLSError) {
                let progress = try engine.process(
                    UnsafeRawBufferPointer(bytes), plaintext: &buffer, plaintextLimit: limit, output: &output)
                (consumed, hasPendingPlaintext) = (progress.consumed, progress.hasPending)
            } catch { tlsFailure = error }
        }
        if let tlsFailure { throw failed(tlsFailure) }
        // The end of our side of a handshake.
        if !output.isEmpty { _ = carrier.send(&output) }
        records.consume(consumed)
        if records.isEmpty { records.release() }
        return buffer.count - before
    }

    /// Sends the alert that says why.
    private func failed(_ error: TLSError) -> IOError {
        _ = carrier.send(&output)
        let failure = IOError(.tls, error.operation, detail: error.reason)
        self.failure = failure
        return failure
    }

    package func resumeWhenReadable(_ waiter: UnsafeContinuation<Void, Never>) {
        if hasPendingPlaintext || engine.isClosed || failure != nil { return waiter.resume() }
        carrier.resumeWhenReadable(waiter)
    }

    package func wake() { carrier.wake() }

    // MARK: Writing

    package func send(_ bytes: UnsafeRawBufferPointer) -> Room {
        do throws(TLSError) { try engine.write(bytes, output: &output) } catch {
            _ = failed(error)
            return .room
        }
        return carrier.send(&output)
    }

    package func flush(stall: UInt64 = 0) async throws(IOError) {
        if let failure { throw failure }
        do throws(IOError) { try await carrier.flush(stall: stall) } catch {
            carrierFailure = carrierFailure ?? error
            throw error
        }
    }

    package var hasSentAll: Bool { failure == nil && carrier.hasSentAll }

    /// Says that no more will be sent (close_notify). The stream underneath is still open.
    package func close() {
        engine.close(output: &output)
        if !output.isEmpty { _ = carrier.send(&output) }
    }

    // MARK: The end

    package var ended: StreamEnd? { engine.isClosed ? .orderly : failure == nil ? carrier.ended : .lost }
    package var onEnd: (() -> Void)? {
        get { carrier.onEnd }
        set { carrier.onEnd = newValue }
    }
    package var readsBeforeEnd: Bool {
        get { carrier.readsBeforeEnd }
        set { carrier.readsBeforeEnd = newValue }
    }
}
