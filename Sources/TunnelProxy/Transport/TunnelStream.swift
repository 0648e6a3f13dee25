internal import TunnelCore
internal import TunnelIO
internal import TunnelTLS

/// Why a tunnel carries no more bytes from its far side.
enum TunnelEnd: Equatable {
    /// The WebSocket's closing handshake, or TLS close_notify.
    case closed
    /// The TCP connection ended or failed without either.
    case lost
    /// Nothing at all arrived for `websocket.idle_timeout`.
    case idle
    /// The peer broke RFC 6455 or TLS; the words are for the log.
    case failed(String)
    /// We ended it ourselves.
    case ended
}

/// The plaintext side of one tunnel: bytes inside TLS inside a WebSocket inside a TCP connection.
///
/// Driven from below: the loop's readiness dispatch takes socket bytes through the frame decoder and the TLS engine
/// into ``plaintext`` without waking anybody, and answers pings, closes and handshake records by itself. A task is woken
/// only when it waits and plaintext, or the end, has come. Above `highWater` bytes of plaintext the socket is not read.
final class TunnelStream: SocketReader {
    private let socket: Socket
    private let reactor: Reactor
    private let settings: Settings

    private var frames: FrameDecoder
    private var controlFrames = FrameEncoder(role: .server)
    private var deflate: PerMessageDeflate?
    private var engine: TLSEngine
    /// The start of a frame whose rest has not come: at most ``FrameDecoder/maxUnconsumed`` bytes.
    private var partial = ByteBuffer()

    /// What the far side sent and nobody has consumed.
    var plaintext = ByteBuffer()
    /// Why no more plaintext will come; `nil` while it may.
    private(set) var end: TunnelEnd?
    /// Whether anything came that should be TLS.
    private(set) var isHandshakeBegun = false
    private(set) var isHandshakeComplete = false
    private(set) var handshakeError: TLSError?

    private var waiter: UnsafeContinuation<Void, Never>?
    /// Called once when the stream ends while an exchange runs, so that its upstream ends too.
    var onEnd: (() -> Void)?

    private var isPaused = false
    private var sentClose = false
    private var receivedClose = false
    private var lastArrival: UInt64
    private var lastPing: UInt64
    private lazy var heartbeat = Deadline { [unowned self] in beat() }

    struct Settings {
        /// Bytes of plaintext above which the socket is left alone.
        var highWater = 64 * 1024
        /// Nanoseconds between pings; 0 for none.
        var pingInterval: UInt64 = 30_000_000_000
        /// Nanoseconds without a byte after which the tunnel is given up; 0 for never.
        var idleTimeout: UInt64 = 0
        var maxFramePayload = 16 << 20
    }

    /// The largest plaintext put into one frame: two full TLS records (RFC 8446 §5.1).
    private static let framePlaintext = 32 * 1024
    /// Reads of the socket in one turn, so that one fast peer leaves time for the others.
    private static let maxReadsPerTurn = 4
    /// Answers to pings stop above this many unsent bytes; RFC 6455 §5.5.3 asks only for the latest one.
    private static let maxUnsentForPong = 64 * 1024
    /// How long the closing handshakes may take before the connection is cut.
    private static let closeTimeout: UInt64 = 5_000_000_000

    init(
        _ socket: Socket, on reactor: Reactor, engine: consuming TLSEngine, deflate: consuming PerMessageDeflate?,
        settings: Settings
    ) {
        self.socket = socket
        self.reactor = reactor
        self.settings = settings
        let isCompressing = deflate != nil
        frames = FrameDecoder(
            role: .server, maxFramePayload: settings.maxFramePayload, allowsCompression: isCompressing)
        self.engine = engine
        self.deflate = deflate
        lastArrival = reactor.now
        lastPing = reactor.now
    }

    /// Starts reading. `early` are bytes that came behind the upgrade request.
    func start(early: UnsafeRawBufferPointer) {
        socket.reader = self
        armHeartbeat()
        // Whole frames may be among them, whose sender waits for an answer before it says more.
        var bytes = ByteBuffer()
        bytes.append(early)
        bytes.withMutableBytes { process($0) }
        pump()
    }

    // MARK: What the session does

    /// Waits for more plaintext than `count` bytes, for the end, or for ``wake()``. One task may wait at a time.
    func readable(beyond count: Int = 0) async {
        // Whoever needs more than there is would wait for ever below the mark for reading on.
        if plaintext.count <= count { readOn() } else { resumeReading() }
        if plaintext.count <= count && end == nil { await withUnsafeContinuation { waiter = $0 } }
    }

    /// Drops consumed plaintext and reads on when there is room again.
    func consume(_ count: Int) {
        plaintext.consume(count)
        if plaintext.isEmpty { reactor.buffers.give(&plaintext) }
        resumeReading()
    }

    /// Waits until the handshake is over, either way, or for ``wake()``.
    func handshake() async {
        if !isHandshakeComplete && end == nil { await withUnsafeContinuation { waiter = $0 } }
    }

    /// Wakes the waiting task although nothing came, because one of its deadlines has passed.
    func wake() {
        waiter?.resume()
        waiter = nil
    }

    /// Encrypts and sends. What the kernel does not take is kept: await ``flush()`` before sending more.
    func send(_ bytes: UnsafeRawBufferPointer) {
        guard end == nil else { return }
        var rest = bytes[...]
        var failure: TLSError?
        while !rest.isEmpty && failure == nil {
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(TunnelStream.framePlaintext))
            let mark = beginFrame()
            do throws(TLSError) {
                try engine.write(part, output: &reactor.staging)
                finishFrame(mark)
            } catch {
                reactor.staging.truncate(to: mark)
                failure = error
            }
            rest = rest.dropFirst(part.count)
        }
        socket.send(&reactor.staging)
        // Last, because whoever is told may send, and the staging buffer is everybody's.
        if let failure { finish(.failed("\(failure)")) }
    }

    /// Sends the bytes of `buffer` and empties it.
    func send(_ buffer: inout ByteBuffer) {
        buffer.withMutableBytes { send(UnsafeRawBufferPointer($0)) }
        buffer.removeAll()
    }

    /// Waits until the kernel has taken what was sent.
    ///
    /// - Throws: ``IOError`` when the tunnel is gone.
    func flush() async throws(IOError) {
        do throws(IOError) { try await socket.flush() } catch {
            // The socket tells its reader of a failed read only.
            finish(.lost)
            throw error
        }
    }

    /// Ends the tunnel in order: close_notify, WebSocket close, and FIN when the far side has answered, or after a
    /// bound. Everything sent before still arrives.
    func close(_ code: CloseCode) async {
        reactor.remove(heartbeat)
        onEnd = nil
        sendClose(code, closesTLS: true)
        // Nobody will read it, and it must not keep the socket from being read.
        reactor.buffers.give(&plaintext)
        readOn()
        let limit = Deadline { [unowned self] in
            socket.close()
            finish(.lost)
        }
        reactor.set(limit, after: TunnelStream.closeTimeout)
        do throws(IOError) {
            try await socket.flush()
            if !receivedClose {
                // What the far side still sends is taken and dropped: closing with unread bytes would reset the
                // connection and could destroy what we sent last.
                socket.shutdownWrite()
                while end != .lost && !receivedClose && socket.failure == nil {
                    await withUnsafeContinuation { waiter = $0 }
                }
            }
        } catch {}
        reactor.remove(limit)
        cut()
    }

    /// Ends the tunnel without close_notify, so that an answer that broke off is not taken for whole.
    ///
    /// - Parameter code: what a WebSocket close says; with `nil` the connection just ends.
    func abort(_ code: CloseCode?) async {
        guard let code, end == nil else { return cut() }
        sendClose(code, closesTLS: false)
        await close(code)
    }

    /// Ends the tunnel at once. The far side sees no orderly end: for an answer that broke off.
    func cut() {
        reactor.remove(heartbeat)
        finish(.ended)
        socket.close()
        reactor.buffers.give(&plaintext)
        partial.release()
    }

    // MARK: Facts for logs

    var tlsVersion: String { engine.version?.rawValue ?? "" }
    var cipher: String { engine.cipher ?? "" }
    var isResumed: Bool { engine.isResumed }
    var applicationProtocol: String? { engine.alpn }

    // MARK: From the socket

    func socketBecameReadable() { pump() }

    func socketFailed(_ error: IOError) { finish(.lost) }

    private func resumeReading() {
        if plaintext.count < settings.highWater / 2 { readOn() }
    }

    private func readOn() {
        guard isPaused else { return }
        isPaused = false
        pump()
    }

    /// Takes what the socket has, in bounded turns.
    private func pump() {
        var reads = 0
        while true {
            if end == nil && !sentClose && plaintext.count >= settings.highWater {
                isPaused = true
                // A peer that is gone will not read an answer: nobody half-closes a tunnel.
                if socket.sawHangUp { finish(.lost) }
                return
            }
            if reads == TunnelStream.maxReadsPerTurn {
                socket.continueNextTurn()
                return
            }
            reads += 1
            // A frame header that came in two reads is put together at the front of the scratch memory.
            let kept = partial.count
            if kept > 0 {
                partial.withMutableBytes { reactor.scratch.copyMemory(from: UnsafeRawBufferPointer($0)) }
                partial.removeAll()
            }
            let room = UnsafeMutableRawBufferPointer(rebasing: reactor.scratch[kept...])
            let received: Int?
            do throws(IOError) { received = try socket.receive(into: room) } catch {
                finish(.lost)
                return
            }
            if received == 0 {
                finish(receivedClose || sentClose ? .closed : .lost)
                if sentClose { finishClosing() }
                return
            }
            let count = kept + (received ?? 0)
            if count > kept {
                lastArrival = reactor.now
                process(UnsafeMutableRawBufferPointer(rebasing: reactor.scratch[..<count]))
            } else if kept > 0 {
                partial.append(UnsafeRawBufferPointer(rebasing: reactor.scratch[..<kept]))
            }
            if received == nil { return }
        }
    }

    /// Decodes frames in place and hands their payload on.
    private func process(_ bytes: UnsafeMutableRawBufferPointer) {
        var offset = 0
        do throws(WebSocketError) {
            while offset < bytes.count && !receivedClose {
                let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[offset...])
                let step = try frames.next(rest)
                offset += step.consumed
                switch step.event {
                case .needMore:
                    partial.append(UnsafeRawBufferPointer(rebasing: bytes[offset...]))
                    return
                case .data(let range, let opcode, let isCompressed, let endOfMessage):
                    guard opcode == .binary else {
                        throw WebSocketError(code: .unsupportedData, reason: "a text frame")
                    }
                    let payload = UnsafeRawBufferPointer(rebasing: rest[range])
                    if isCompressed { try inflate(payload, endOfMessage) } else { decrypt(payload) }
                case .ping(let range): pong(UnsafeRawBufferPointer(rebasing: rest[range]))
                case .pong: break
                case .close(let code, _): peerClosed(code)
                }
            }
        } catch {
            fail(error)
        }
    }

    private func inflate(_ payload: UnsafeRawBufferPointer, _ endOfMessage: Bool) throws(WebSocketError) {
        var inflated = ByteBuffer()
        let piece = payload.bindMemory(to: UInt8.self)
        try deflate?.decompress(
            piece.span, endOfMessage: endOfMessage, limit: settings.maxFramePayload, into: &inflated)
        inflated.withMutableBytes { decrypt(UnsafeRawBufferPointer($0)) }
    }

    /// Feeds TLS, keeps the plaintext and sends what TLS itself has to say.
    private func decrypt(_ records: UnsafeRawBufferPointer) {
        guard end == nil, !sentClose else { return }
        isHandshakeBegun = true
        let before = plaintext.count
        let wasComplete = isHandshakeComplete
        let mark = beginFrame()
        var failure: TLSError?
        var isClosed = false
        if plaintext.capacity == 0 && isHandshakeComplete { plaintext = reactor.buffers.take(atLeast: records.count) }
        do throws(TLSError) {
            let progress = try engine.process(
                records, plaintext: &plaintext, plaintextLimit: .max, output: &reactor.staging)
            if progress.handshakeCompleted { isHandshakeComplete = true }
            isClosed = progress.isClosed
        } catch {
            failure = error
        }
        finishFrame(mark)
        if !reactor.staging.isEmpty { socket.send(&reactor.staging) }
        if plaintext.isEmpty { reactor.buffers.give(&plaintext) }
        if let failure {
            if !wasComplete { handshakeError = failure }
            // TLS has said why in its alert; the WebSocket itself was in order.
            sendClose(.normal, closesTLS: false)
            finish(.failed("\(failure)"))
        } else if isClosed {
            finish(.closed)
        } else if plaintext.count > before || isHandshakeComplete != wasComplete {
            wake()
        }
    }

    private func pong(_ payload: UnsafeRawBufferPointer) {
        guard !sentClose, socket.unsentCount < TunnelStream.maxUnsentForPong else { return }
        controlFrames.append(.pong, payload: payload, to: &reactor.staging)
        socket.send(&reactor.staging)
    }

    private func peerClosed(_ code: CloseCode?) {
        receivedClose = true
        sendClose(code ?? .normal, closesTLS: isHandshakeComplete)
        finish(.closed)
        wake()
    }

    private func fail(_ error: WebSocketError) {
        sendClose(error.code, closesTLS: false)
        finish(.failed("\(error)"))
    }

    // MARK: Ending

    private func finish(_ reason: TunnelEnd) {
        guard end == nil else {
            if reason == .lost {
                end = .lost
                wake()
            }
            return
        }
        end = reason
        let onEnd = onEnd
        self.onEnd = nil
        onEnd?()
        wake()
    }

    /// The far side has ended the connection after our close.
    private func finishClosing() {
        receivedClose = true
        wake()
    }

    private func sendClose(_ code: CloseCode, closesTLS: Bool) {
        guard !sentClose else { return }
        if closesTLS {
            let mark = beginFrame()
            engine.close(output: &reactor.staging)
            finishFrame(mark)
        }
        sentClose = true
        controlFrames.appendClose(code, to: &reactor.staging)
        socket.send(&reactor.staging)
    }

    // MARK: Frames

    /// Reserves a frame header in front of what is about to be encrypted.
    private func beginFrame() -> Int {
        let mark = reactor.staging.count
        reactor.staging.append(TunnelStream.reservedHeader)
        return mark
    }

    /// Two bytes and a 16-bit length: what every frame of 126 to 65,535 bytes has (RFC 6455 §5.2).
    private static let reservedHeader: StaticString = "\0\0\0\0"

    /// Writes the header of the frame that began at `mark`, now that its length is known.
    private func finishFrame(_ mark: Int) {
        let reserved = 4
        let length = reactor.staging.count - mark - reserved
        guard length > 0 else {
            reactor.staging.truncate(to: mark)
            return
        }
        let header = FrameHeader(.binary, payloadLength: length)
        let shift = header.size - reserved
        if shift > 0 { reactor.staging.append([UInt8](repeating: 0, count: shift)) }
        reactor.staging.withMutableBytes { bytes in
            guard let start = bytes.baseAddress.map({ $0 + mark }) else { return }
            if shift != 0 { (start + header.size).copyMemory(from: start + reserved, byteCount: length) }
            _ = header.write(into: UnsafeMutableRawBufferPointer(start: start, count: header.size))
        }
        if shift < 0 { reactor.staging.truncate(to: mark + header.size + length) }
    }

    // MARK: Heartbeat

    private func armHeartbeat() {
        var due = UInt64.max
        if settings.pingInterval > 0 { due = lastPing &+ settings.pingInterval }
        if settings.idleTimeout > 0 { due = min(due, lastArrival &+ settings.idleTimeout) }
        if due < .max { reactor.set(heartbeat, after: due > reactor.now ? due - reactor.now : 1) }
    }

    private func beat() {
        guard end == nil else { return }
        // While we leave the socket alone, silence says nothing about the far side.
        if isPaused { lastArrival = reactor.now }
        if settings.idleTimeout > 0 && reactor.now &- lastArrival >= settings.idleTimeout {
            sendClose(.goingAway, closesTLS: isHandshakeComplete)
            finish(.idle)
            return
        }
        if settings.pingInterval > 0 && reactor.now &- lastPing >= settings.pingInterval {
            lastPing = reactor.now
            if socket.unsentCount < TunnelStream.maxUnsentForPong { ping() }
        }
        armHeartbeat()
    }

    private func ping() {
        controlFrames.append(.ping, payload: UnsafeRawBufferPointer(start: nil, count: 0), to: &reactor.staging)
        socket.send(&reactor.staging)
    }
}
