internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// A tunnel on its socket: drives a ``TunnelTransport``, and is the byte stream inside.
///
/// Driven from below: the loop's readiness dispatch takes socket bytes through the transport into `plaintext` without
/// waking anybody, and what the transport answers by itself (pings, handshake records, the closing handshake) goes out
/// from there. A task is woken only when it waits and plaintext, or the end, has come: an event stream that is silent for an
/// hour costs no task that polls. Above `highWater` bytes of plaintext the socket is not read, which is how back-pressure
/// reaches the far side.
///
/// One turn takes a bounded number of reads and frames; what is left is taken in the next one, after the loop's other sockets.
final class TunnelStream: SocketReader, ByteStream {
    struct Settings {
        /// Bytes of plaintext above which the socket is left alone.
        var highWater = 64 * 1024
        /// Nanoseconds between pings; 0 for none.
        var pingInterval: UInt64 = 30_000_000_000
        /// Nanoseconds without a byte after which the tunnel is given up; 0 for never.
        var idleTimeout: UInt64 = 0
        var maxFramePayload = 16 << 20
    }

    private enum Reading {
        case flowing
        /// The socket is left alone until plaintext has been taken.
        case paused
        /// The connection's bytes are over.
        case ended
    }

    /// Reads of the socket in one turn. One where the tunnel is closing, and what comes is dropped.
    private static let maxReadsPerTurn = 4
    /// A read after one whose bytes were mostly frames and records: each of those costs the same, however small it is.
    private static let smallRead = 8 * 1024
    /// Pings are not answered above this many unsent bytes; RFC 6455 §5.5.3 asks only for the latest one.
    private static let maxUnsentForPong = 64 * 1024
    /// No writer of ours leaves so much unsent: it is the answers of TLS, which the peer asks for and does not read.
    private static let maxUnsent = 1 << 20
    /// How long the closing handshakes may take before the connection is cut.
    private static let closeTimeout: UInt64 = 5_000_000_000

    private let socket: Socket
    let reactor: Reactor
    private let settings: Settings
    private let metrics: WorkerMetrics
    var transport: TunnelTransport
    private var heartbeat: Heartbeat
    private lazy var beat = Deadline(on: reactor) { [unowned self] in checkHeartbeat() }

    private var reading = Reading.flowing
    /// Received and not decoded: the start of a frame, or what was over the turn's budget.
    private var undecoded = ByteBuffer()
    private var hasWholeFrames = false
    /// The last read held little plaintext for its size.
    private var isFineGrained = false
    /// Bytes that a closing tunnel still reads.
    private var dropsLeft = Int.max
    /// Decrypted, and not yet taken.
    var plaintext = ByteBuffer()
    private var waiter: UnsafeContinuation<Void, Never>?
    var signing: SigningJob?

    var onEnd: (() -> Void)?
    var readsBeforeEnd = false

    init(
        _ socket: Socket, on reactor: Reactor, engine: consuming TLSEngine, deflate: consuming PerMessageDeflate?,
        settings: Settings, metrics: WorkerMetrics
    ) {
        (self.socket, self.reactor, self.settings, self.metrics) = (socket, reactor, settings, metrics)
        transport = TunnelTransport(
            role: .server, engine: engine, deflate: deflate, maxFramePayload: settings.maxFramePayload)
        heartbeat = Heartbeat(
            pingInterval: settings.pingInterval, idleTimeout: settings.idleTimeout, now: reactor.now)
    }

    /// Starts reading.
    ///
    /// - Parameter early: bytes that came behind the upgrade request. Whole frames may be among them, whose sender waits
    ///   for an answer before it says more.
    func start(early: [UInt8]) {
        socket.reader = self
        armHeartbeat()
        undecoded.append(early)
        hasWholeFrames = !early.isEmpty
        pump()
    }

    // MARK: Facts

    /// Why no more plaintext will come; `nil` while it may.
    var end: TunnelEnd? { transport.end }
    /// Plaintext that waits to be taken.
    var pendingCount: Int { plaintext.count }
    /// What the far side's Close frame said; `nil` where none came.
    var peerCloseCode: CloseCode? { transport.peerCloseCode }
    var isHandshakeBegun: Bool { transport.isHandshakeBegun }
    var isHandshakeComplete: Bool { transport.isHandshakeComplete }
    var handshakeError: TLSError? { transport.handshakeError }
    var tlsVersion: String { transport.tlsVersion }
    var cipher: String { transport.cipher }
    var isResumed: Bool { transport.isResumed }
    var tunnelNumber: Int { transport.serverNumber }
    var applicationProtocol: String? { transport.applicationProtocol }

    // MARK: ByteStream

    var ended: StreamEnd? {
        switch transport.end {
        case nil: nil
        // Also where a reset came behind it, as it does when we respond to a far side that has closed its socket.
        case _ where transport.isInputWhole: .orderly
        case .stalled: .stalled
        case .closed, .lost, .idle, .failed, .ended: .lost
        }
    }

    func receive(into buffer: inout ByteBuffer, limit: Int) throws(IOError) -> Received {
        if plaintext.isEmpty {
            switch transport.end {
            case nil: return .nothing
            case _ where transport.isInputWhole: return .end
            case .stalled: throw IOError(.timedOut, "tunnel")
            default: throw IOError(.closed, "tunnel")
            }
        }
        let count = min(plaintext.count, limit - buffer.count)
        guard count > 0 else { return .nothing }
        if buffer.isEmpty && count == plaintext.count {
            swap(&buffer, &plaintext)
        } else {
            plaintext.withBytes { buffer.append($0.extracting(0..<count)) }
            plaintext.consume(count)
        }
        if plaintext.isEmpty { reactor.buffers.give(&plaintext) }
        resumeReading()
        return .bytes(count)
    }

    func resumeWhenReadable(_ waiter: UnsafeContinuation<Void, Never>) {
        if !plaintext.isEmpty || transport.end != nil { return waiter.resume() }
        self.waiter = waiter
    }

    /// Waits until the handshake is over, either way, or for ``wake()``.
    func handshake() async {
        if !transport.isHandshakeComplete && transport.end == nil { await withUnsafeContinuation { waiter = $0 } }
    }

    func wake() {
        waiter?.resume()
        waiter = nil
    }

    func send(_ bytes: UnsafeRawBufferPointer) -> Room {
        let hadEnded = transport.end != nil
        transport.write(bytes, output: &reactor.staging)
        countFrames()
        let room = socket.send(&reactor.staging)
        if !hadEnded && transport.end != nil { notifyEnd() }
        return room
    }

    func flush(stall: UInt64) async throws(IOError) {
        do throws(IOError) { try await socket.flush(stall: stall) } catch {
            // The socket reports a failed read only.
            finish(error.code == .timedOut ? .stalled : .lost)
            throw error
        }
    }

    var hasSentAll: Bool { socket.hasSentAll }

    // MARK: Ending

    /// Ends the tunnel in order: close_notify, WebSocket close, and FIN when the far side has answered, or after a
    /// bound. Everything sent before still arrives.
    /// - Parameter dropping: bytes that are still read, and dropped, before the connection is cut.
    func close(_ code: CloseCode, dropping limit: Int = .max) async {
        dropsLeft = limit
        transport.close(code, output: &reactor.staging)
        await finishClosing()
    }

    /// Ends the tunnel without close_notify, so that a response that broke off is not taken for whole.
    ///
    /// - Parameter code: what a WebSocket close says; with `nil` the connection just ends.
    func abort(_ code: CloseCode?) async {
        guard let code, transport.end == nil else { return cut() }
        transport.abort(code, output: &reactor.staging)
        await finishClosing()
    }

    private func finishClosing() async {
        beat.cancel()
        signing?.callOff()
        onEnd = nil
        countFrames()
        _ = socket.send(&reactor.staging)
        // Nobody will read it, and it must not keep the socket from being read.
        reactor.buffers.give(&plaintext)
        resumeReading()
        let limit = Deadline(on: reactor) { [unowned self] in
            socket.close()
            finish(.lost)
            wake()
        }
        limit.set(after: TunnelStream.closeTimeout)
        do throws(IOError) {
            try await socket.flush()
            if !isOver {
                // What the far side still sends is taken and dropped: closing with unread bytes would reset the
                // connection and could destroy what we sent last.
                socket.shutdownWrite()
                while !isOver { await withUnsafeContinuation { waiter = $0 } }
            }
        } catch {}
        limit.cancel()
        cut()
    }

    /// Nothing more is to be expected from the far side.
    private var isOver: Bool {
        if case .ended = reading { return true }
        return transport.peerCloseCode != nil || socket.failure != nil
    }

    /// Ends the tunnel at once. The far side sees no orderly end: for a response that broke off.
    func cut() {
        beat.cancel()
        signing?.callOff()
        finish(.ended)
        socket.close()
        reactor.buffers.give(&plaintext)
        reactor.buffers.give(&undecoded)
        // Also who waits for the far side's part of a closing handshake.
        wake()
    }

    private func finish(_ reason: TunnelEnd) {
        let hadEnded = transport.end != nil
        transport.finish(reason)
        if !hadEnded { notifyEnd() }
    }

    private func notifyEnd() {
        let onEnd = onEnd
        self.onEnd = nil
        onEnd?()
        if transport.end != .closed { socket.abandonFlush() }
        wake()
    }

    // MARK: From the socket

    func socketBecameReadable() { pump() }

    func socketFailed(_ error: IOError) {
        reading = .ended
        finish(.lost)
        wake()
    }

    /// Reads on in the next turn, so that no reader is called from inside its own call.
    private func resumeReading() {
        guard case .paused = reading, plaintext.count < settings.highWater / 2 else { return }
        reading = .flowing
        socket.continueNextTurn()
    }

    /// Takes what the socket has, up to the turn's bounds.
    private func pump() {
        var reads = 0
        while case .flowing = reading {
            if transport.end == nil && plaintext.count >= settings.highWater { return pause() }
            let limit = transport.isOpen && !isFineGrained ? TunnelStream.maxReadsPerTurn : 1
            guard reads < limit else { return socket.continueNextTurn() }
            reads += 1
            if hasWholeFrames {
                // Where they lie: what came behind an upgrade may be more than the scratch memory takes.
                var whole = ByteBuffer()
                swap(&whole, &undecoded)
                whole.withMutableBytes { process($0) }
                reactor.buffers.give(&whole)
                if hasWholeFrames { return socket.continueNextTurn() }
                continue
            }
            // What was not decoded, a part of one header or control frame, is put in front of what comes.
            let kept = undecoded.count
            if kept > 0 {
                undecoded.withMutableBytes { reactor.scratch.copyMemory(from: UnsafeRawBufferPointer($0)) }
                reactor.buffers.give(&undecoded)
            }
            let received: Int?
            do throws(IOError) {
                let end = isFineGrained ? kept + TunnelStream.smallRead : reactor.scratch.count
                received = try socket.receive(
                    into: UnsafeMutableRawBufferPointer(rebasing: reactor.scratch[kept..<end]))
            } catch {
                reading = .ended
                return finish(.lost)
            }
            guard let received else {
                if kept > 0 { keep(UnsafeMutableRawBufferPointer(rebasing: reactor.scratch[..<kept])) }
                return
            }
            if received == 0 { return inputEnded() }
            heartbeat.arrived(at: reactor.now)
            if !transport.isOpen {
                dropsLeft -= received
                if dropsLeft < 0 { return cut() }
            }
            process(UnsafeMutableRawBufferPointer(rebasing: reactor.scratch[..<(kept + received)]))
            if hasWholeFrames { return socket.continueNextTurn() }
        }
        // A peer that is gone reads no response.
        if case .paused = reading, socket.sawHangUp && !readsBeforeEnd { finish(.lost) }
    }

    private func pause() {
        reading = .paused
        if socket.sawHangUp && !readsBeforeEnd { finish(.lost) }
    }

    private func inputEnded() {
        reading = .ended
        let hadEnded = transport.end != nil
        transport.endOfInput()
        if hadEnded { wake() } else { notifyEnd() }
    }

    private func keep(_ bytes: UnsafeMutableRawBufferPointer) {
        undecoded = reactor.buffers.take(atLeast: bytes.count)
        undecoded.append(UnsafeRawBufferPointer(bytes))
    }

    private func process(_ bytes: UnsafeMutableRawBufferPointer) {
        let before = plaintext.count
        let (hadEnded, wasComplete) = (transport.end != nil, transport.isHandshakeComplete)
        if plaintext.capacity == 0 && wasComplete { plaintext = reactor.buffers.take(atLeast: bytes.count) }
        let progress = transport.receive(
            bytes, answersPings: socket.unsentCount < TunnelStream.maxUnsentForPong, plaintext: &plaintext,
            output: &reactor.staging)
        hasWholeFrames = progress.hasMore
        isFineGrained =
            progress.consumed > TunnelStream.smallRead / 2 && (plaintext.count - before) * 2 < progress.consumed
        if progress.consumed < bytes.count {
            keep(UnsafeMutableRawBufferPointer(rebasing: bytes[progress.consumed...]))
        }
        countFrames()
        react(hadEnded: hadEnded, wasComplete: wasComplete, before)
        if transport.awaitsSignature { sign() }
    }

    private func countFrames() {
        let counts = transport.takeFrameCounts()
        metrics.count(.frameIn, counts.received)
        metrics.count(.frameOut, counts.sent)
        if counts.heartbeats > 0 { metrics.saw(.ping, at: reactor.now) }
    }

    /// Sends what the transport has to say and wakes who waits for what has changed.
    func react(hadEnded: Bool, wasComplete: Bool, _ before: Int) {
        if !reactor.staging.isEmpty { _ = socket.send(&reactor.staging) }
        if socket.unsentCount > TunnelStream.maxUnsent { transport.finish(.failed("takes no answers of TLS")) }
        if plaintext.isEmpty { reactor.buffers.give(&plaintext) }
        if !hadEnded && transport.end != nil {
            notifyEnd()
        } else if plaintext.count > before || transport.isHandshakeComplete != wasComplete || hadEnded {
            wake()
        }
    }

    // MARK: Heartbeat

    private func armHeartbeat() {
        if let delay = heartbeat.next(at: reactor.now) { beat.set(after: delay) }
    }

    private func checkHeartbeat() {
        guard transport.end == nil else { return }
        if case .paused = reading { heartbeat.arrived(at: reactor.now) }
        switch heartbeat.beat(at: reactor.now) {
        case .giveUp:
            transport.close(.goingAway, output: &reactor.staging)
            countFrames()
            _ = socket.send(&reactor.staging)
            return finish(.idle)
        case .ping where socket.unsentCount < TunnelStream.maxUnsentForPong:
            transport.ping(output: &reactor.staging)
            countFrames()
            _ = socket.send(&reactor.staging)
        case .ping, nil: break
        }
        armHeartbeat()
    }
}
