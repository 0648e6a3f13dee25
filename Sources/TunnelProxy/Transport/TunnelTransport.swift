package import TunnelCore
package import TunnelTLS

/// Everything between the bytes of a tunnel's connection and its plaintext, as one value: WebSocket frames, compression,
/// TLS, and how the three are closed. No socket, no clock, no callbacks.
///
/// Two ends drive each other in a test with nothing but arrays of bytes; ``TunnelStream`` drives one on a socket. Received
/// bytes are decoded where they lie. Whatever has to be sent is appended to the caller's `output`, which the caller sends
/// after each call, also after one that ended the tunnel: it may be the alert or the Close frame that says why.
///
/// The peer decides how often most of this happens, so the work has a budget: each call takes at most `frameBudget`
/// frames and makes at most one pong, for the latest ping (RFC 6455 §5.5.3).
package struct TunnelTransport: ~Copyable {
    /// What became of a call of ``receive(_:plaintext:output:)``.
    package struct Progress: Equatable, Sendable {
        /// Bytes from the front that are done with. The rest is to be given again, with more behind it.
        package let consumed: Int
        /// The budget was used up: the rest may hold whole frames, so call again next turn also when nothing more comes.
        package let hasMore: Bool
    }

    /// Frames taken in one call.
    package static let frameBudget = 512
    /// Bytes inflated before TLS sees them.
    private static let inflationStep = 64 * 1024
    /// Payload up to here is moved, to be decrypted with what came before it.
    private static let smallPayload = 1024
    /// Largest plaintext in one frame: two full TLS records (RFC 8446 §5.1).
    private static let framePlaintext = 32 * 1024
    /// Records held while a signature is made elsewhere. A client has nothing to say before it has our flight, but a
    /// few bytes of what it may send early.
    private static let maxHeld = 16 * 1024
    var frames: FrameDecoder
    var framer: RecordFramer
    var counted = FrameCounts()
    private var deflate: PerMessageDeflate?
    private let maxInflated: Int
    /// `nil` while another thread signs with it.
    private var engine: TLSEngine?
    private var handshake = Handshake.notBegun
    private var closing = CloseHandshake()
    /// What the latest ping of this call said, while it waits for its pong.
    private var ping = ByteBuffer()
    private var owesPong = false
    /// Records that came while another thread signs.
    private var held = ByteBuffer()

    private enum Handshake: Equatable { case notBegun, underWay, signing, complete }

    /// Why no more plaintext will come; `nil` while it may.
    package private(set) var end: TunnelEnd?
    /// The peer ended in order, so it has said all that it had to say, whatever became of the connection afterwards.
    package private(set) var isInputWhole = false
    /// Why the inner handshake failed, if it did.
    package private(set) var handshakeError: TLSError?

    /// - Parameters:
    ///   - role: our own. A client begins with ``start(output:)``.
    ///   - engine: of the same role.
    ///   - maxFramePayload: bytes of payload in one frame of the peer, also when it is inflated.
    package init(
        role: WebSocketRole, engine: consuming TLSEngine, deflate: consuming PerMessageDeflate? = nil,
        maxFramePayload: Int = 16 << 20
    ) {
        let isCompressing = deflate != nil
        frames = FrameDecoder(role: role, maxFramePayload: maxFramePayload, allowsCompression: isCompressing)
        framer = RecordFramer(role: role)
        self.deflate = deflate
        maxInflated = maxFramePayload
        self.engine = consume engine
    }

    // MARK: Facts

    /// Whether anything came that should be TLS.
    package var isHandshakeBegun: Bool { handshake != .notBegun }
    /// Whether plaintext can go both ways.
    package var isHandshakeComplete: Bool { handshake == .complete }
    /// Whether our Close frame has not gone out, so that something may still be sent.
    package var isOpen: Bool { closing.isOpen }
    /// What the peer's Close frame said; `nil` while none came, also where we failed the connection and look no more.
    package var peerCloseCode: CloseCode? { closing.peerCode }

    package var tlsVersion: String { ask { $0.version?.rawValue ?? "" } ?? "" }
    package var cipher: String { ask { $0.cipher ?? "" } ?? "" }
    package var isResumed: Bool { ask { $0.isResumed } ?? false }
    package var serverNumber: Int { ask { $0.serverNumber } ?? 0 }
    package var tlsGroup: String? { ask { $0.group } ?? nil }
    package var applicationProtocol: String? { ask { $0.alpn } ?? nil }
    package var peerFingerprint: String? { ask { $0.peerFingerprint } ?? nil }
    package var peerCertificate: [UInt8]? { ask { $0.peerCertificate } ?? nil }
    package var peerChain: [[UInt8]] { ask { $0.peerChain } ?? [] }
    /// A client's, to resume with.
    package var session: TLSClientSession? { ask { $0.session } ?? nil }

    private func ask<Answer>(_ question: (borrowing TLSEngine) -> Answer) -> Answer? {
        switch engine {
        case .some(let engine): question(engine)
        case .none: nil
        }
    }

    // MARK: Receiving

    /// A client's first flight.
    package mutating func start(output: inout ByteBuffer) throws(TLSError) {
        let mark = framer.begin(&output)
        defer { framer.finish(mark, &output) }
        try engine?.start(output: &output)
    }

    /// Takes bytes of the connection, changed in place.
    ///
    /// - Parameters:
    ///   - answersPings: `false` while the peer leaves what was sent before unread.
    ///   - plaintext: what was decrypted is appended.
    ///   - output: what must be sent is appended.
    package mutating func receive(
        _ bytes: UnsafeMutableRawBufferPointer, answersPings: Bool = true, plaintext: inout ByteBuffer,
        output: inout ByteBuffer
    ) -> Progress {
        var offset = 0
        var left = TunnelTransport.frameBudget
        // Payload that was unmasked and not yet decrypted. That of small frames is put together, so that many of them cost
        // TLS no more than one.
        var payload = 0..<0
        do throws(WebSocketError) {
            while offset < bytes.count && left > 0 && !closing.isDone {
                left -= 1
                let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[offset...])
                let step = try frames.next(rest)
                if case .needMore = step.event {
                    offset += step.consumed
                    try decrypt(&payload, of: bytes, &plaintext, &output)
                    answerPing(&output)
                    return Progress(consumed: offset, hasMore: false)
                }
                switch step.event {
                case .data(let range, let opcode, let isCompressed, let endOfMessage):
                    guard opcode == .binary else {
                        throw WebSocketError(code: .unsupportedData, reason: "a text frame")
                    }
                    if isCompressed {
                        try decrypt(&payload, of: bytes, &plaintext, &output)
                        let piece = UnsafeRawBufferPointer(rebasing: rest[range])
                        try inflate(piece, endOfMessage, &plaintext, &output)
                    } else {
                        let range = range.lowerBound + offset..<range.upperBound + offset
                        try add(range, to: &payload, of: bytes, &plaintext, &output)
                    }
                case .ping(let range):
                    if answersPings { note(ping: UnsafeRawBufferPointer(rebasing: rest[range])) }
                case .close(let code, _):
                    try decrypt(&payload, of: bytes, &plaintext, &output)
                    peerClosed(code, &output)
                case .pong, .needMore: break
                }
                offset += step.consumed
            }
            try decrypt(&payload, of: bytes, &plaintext, &output)
        } catch {
            // What came whole before the fault counts.
            do throws(WebSocketError) { try decrypt(&payload, of: bytes, &plaintext, &output) } catch {}
            fail(error, &output)
        }
        answerPing(&output)
        // Behind a Close frame nothing counts (§5.5.1).
        if closing.isDone { return Progress(consumed: bytes.count, hasMore: false) }
        return Progress(consumed: offset, hasMore: offset < bytes.count)
    }

    /// Adds a frame's payload to what waits to be decrypted: moved up to it if it is small, else in its place.
    private mutating func add(
        _ range: Range<Int>, to payload: inout Range<Int>, of bytes: UnsafeMutableRawBufferPointer,
        _ plaintext: inout ByteBuffer, _ output: inout ByteBuffer
    ) throws(WebSocketError) {
        if range.count > TunnelTransport.smallPayload {
            try decrypt(&payload, of: bytes, &plaintext, &output)
        }
        if payload.isEmpty {
            payload = range
        } else if let base = bytes.baseAddress {
            // SAFETY: both lie within `bytes`, and what is moved lies behind where it goes to.
            (base + payload.upperBound).copyMemory(from: base + range.lowerBound, byteCount: range.count)
            payload = payload.lowerBound..<payload.upperBound + range.count
        }
    }

    private mutating func decrypt(
        _ payload: inout Range<Int>, of bytes: UnsafeMutableRawBufferPointer, _ plaintext: inout ByteBuffer,
        _ output: inout ByteBuffer
    ) throws(WebSocketError) {
        guard !payload.isEmpty else { return }
        let records = UnsafeRawBufferPointer(rebasing: bytes[payload])
        payload = 0..<0
        try decrypt(records, &plaintext, &output)
    }

    /// The connection's bytes are over.
    package mutating func endOfInput() {
        let wasClosing = !closing.isOpen
        _ = closing.transportClosed()
        finish(end == .closed || wasClosing ? .closed : .lost)
    }

    private mutating func inflate(
        _ payload: UnsafeRawBufferPointer, _ endOfMessage: Bool, _ plaintext: inout ByteBuffer,
        _ output: inout ByteBuffer
    ) throws(WebSocketError) {
        var rest = payload.bindMemory(to: UInt8.self)[...]
        var inflated = ByteBuffer()
        // A step at a time: a few bytes may become megabytes, and TLS refuses what is none of its records at the first look.
        while end == nil && closing.isOpen {
            inflated.removeAll()
            let piece = UnsafeBufferPointer(rebasing: rest)
            guard
                let progress = try deflate?.decompress(
                    piece.span, endOfMessage: endOfMessage, limit: maxInflated, atMost: Self.inflationStep,
                    into: &inflated)
            else { return }
            rest = rest.dropFirst(progress.consumed)
            // A typed throw does not pass through a closure that changes `self`.
            var failure: WebSocketError?
            inflated.withMutableBytes { bytes in
                do throws(WebSocketError) { try decrypt(UnsafeRawBufferPointer(bytes), &plaintext, &output) } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
            if progress.isDone { return }
        }
    }

    /// Feeds TLS, keeps the plaintext, and frames what TLS itself has to say.
    private mutating func decrypt(
        _ records: UnsafeRawBufferPointer, _ plaintext: inout ByteBuffer, _ output: inout ByteBuffer
    ) throws(WebSocketError) {
        guard end == nil, closing.isOpen else { return }
        if handshake == .notBegun { handshake = .underWay }
        guard handshake != .signing else { return try hold(records) }
        let mark = framer.begin(&output)
        var failure: TLSError?
        var isClosed = false
        var consumed = records.count
        do throws(TLSError) {
            let progress = try engine?.process(
                records, plaintext: &plaintext, plaintextLimit: .max, output: &output)
            if let progress {
                if progress.handshakeCompleted { handshake = .complete }
                if progress.awaitsSignature { (handshake, consumed) = (.signing, progress.consumed) }
                isClosed = progress.isClosed
            }
        } catch {
            failure = error
        }
        framer.finish(mark, &output)
        if let failure { return failTLS(failure, &output) }
        if isClosed { finish(.closed) }
        if consumed < records.count { try hold(UnsafeRawBufferPointer(rebasing: records[consumed...])) }
    }

    /// Keeps what came before the signature was made, also behind the hello in the same frame.
    private mutating func hold(_ records: UnsafeRawBufferPointer) throws(WebSocketError) {
        guard held.count + records.count <= TunnelTransport.maxHeld else {
            throw WebSocketError(code: .policyViolation, reason: "more than a handshake needs")
        }
        held.append(records)
    }

    // MARK: Sending

    /// Encrypts `plaintext` into frames. Does nothing once the tunnel has ended.
    package mutating func write(_ plaintext: UnsafeRawBufferPointer, output: inout ByteBuffer) {
        guard end == nil, closing.isOpen else { return }
        var rest = plaintext[...]
        while !rest.isEmpty {
            let part = UnsafeRawBufferPointer(rebasing: rest.prefix(TunnelTransport.framePlaintext))
            let mark = framer.begin(&output)
            do throws(TLSError) {
                try engine?.write(part, output: &output)
                framer.finish(mark, &output)
            } catch {
                output.truncate(to: mark)
                return finish(.failed("\(error)"))
            }
            rest = rest.dropFirst(part.count)
        }
    }

    /// Appends a ping. Its pong, like all else that arrives, says that the far side lives.
    package mutating func ping(output: inout ByteBuffer) {
        guard closing.isOpen else { return }
        framer.encoder.append(.ping, payload: UnsafeRawBufferPointer(start: nil, count: 0), to: &output)
    }

    private mutating func note(ping payload: UnsafeRawBufferPointer) {
        ping.removeAll()
        ping.append(payload)
        owesPong = true
    }

    private mutating func answerPing(_ output: inout ByteBuffer) {
        guard owesPong else { return }
        owesPong = false
        if closing.isOpen {
            // Not the payload of any ping but the latest: a flood of them costs the peer more than us.
            var payload = ByteBuffer()
            swap(&payload, &ping)
            payload.withBytes { framer.encoder.append(.pong, payload: $0, to: &output) }
        }
        ping.release()
    }

    // MARK: The signature

    /// Whether a full handshake is at its signature, which ``takeSigner()`` lets another thread make.
    package var awaitsSignature: Bool { handshake == .signing && engine != nil }

    /// Hands the engine out, for one call of its `sign`. Records that come meanwhile are held.
    package mutating func takeSigner() -> TLSEngine? { awaitsSignature ? engine.take() : nil }

    /// Takes the engine back and goes on.
    ///
    /// - Parameter flight: the records that `sign` made.
    /// - Parameter failure: what it threw.
    package mutating func signed(
        _ engine: consuming TLSEngine, flight: borrowing ByteBuffer, failure: TLSError?, plaintext: inout ByteBuffer,
        output: inout ByteBuffer
    ) {
        let isComplete = engine.isHandshakeComplete
        self.engine = consume engine
        guard closing.isOpen, end == nil else { return held.release() }
        handshake = isComplete ? .complete : .underWay
        if !flight.isEmpty { flight.withBytes { framer.encoder.append(.binary, payload: $0, to: &output) } }
        if let failure { return failTLS(failure, &output) }
        guard !held.isEmpty else { return }
        var records = ByteBuffer()
        swap(&records, &held)
        records.withMutableBytes { bytes in
            // Only what exceeds the bound on held records throws.
            do throws(WebSocketError) { try decrypt(UnsafeRawBufferPointer(bytes), &plaintext, &output) } catch {
                fail(error, &output)
            }
        }
    }

    // MARK: Closing

    /// Says that we are done: close_notify, then a Close frame. The peer's answer is still to come.
    package mutating func close(_ code: CloseCode, output: inout ByteBuffer) {
        perform(closing.close(code), closesTLS: isHandshakeComplete, &output)
    }

    /// Says in the WebSocket that we are done, and not in TLS: what was sent last is not whole.
    package mutating func abort(_ code: CloseCode, output: inout ByteBuffer) {
        perform(closing.close(code), closesTLS: false, &output)
    }

    /// Gives the tunnel up for a reason of the driver's: the far side is silent, takes nothing, or the connection failed.
    package mutating func finish(_ reason: TunnelEnd) {
        if end == nil && reason == .closed { isInputWhole = true }
        // A loss counts also behind an orderly end: nothing more can be sent.
        if end == nil || reason == .lost { end = reason }
    }

    private mutating func peerClosed(_ code: CloseCode?, _ output: inout ByteBuffer) {
        // The peer pinged before it closed, and both may have come in one read.
        answerPing(&output)
        perform(closing.receivedClose(code), closesTLS: isHandshakeComplete, &output)
        finish(.closed)
    }

    private mutating func fail(_ error: WebSocketError, _ output: inout ByteBuffer) {
        perform(closing.fail(error.code), closesTLS: false, &output)
        finish(.failed("\(error)"))
    }

    private mutating func failTLS(_ error: TLSError, _ output: inout ByteBuffer) {
        if handshake != .complete { handshakeError = error }
        // TLS has said why in its alert; the WebSocket itself was in order.
        perform(closing.fail(.normal), closesTLS: false, &output)
        finish(.failed("\(error)"))
    }

    private mutating func perform(_ action: CloseHandshake.Action?, closesTLS: Bool, _ output: inout ByteBuffer) {
        switch action {
        case .sendClose(let code), .sendCloseThenCloseTransport(let code):
            if closesTLS {
                let mark = framer.begin(&output)
                engine?.close(output: &output)
                framer.finish(mark, &output)
            }
            framer.encoder.appendClose(code ?? .normal, to: &output)
        case .closeTransport, nil: break
        }
    }
}
