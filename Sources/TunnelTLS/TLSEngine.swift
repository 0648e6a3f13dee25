internal import COpenSSL
public import TunnelCore

/// One TLS connection, server's or client's, without I/O: records in, plaintext out, and back.
///
/// The caller owns every buffer. Input is read where it lies and output is appended to what is there already. Between
/// calls nothing of the caller's is held. After the handshake an idle engine holds no record buffers.
///
/// One owner drives it, call by call. After a throw it is dead: what was appended to `output` should still be sent, as it
/// may be the alert that tells the peer why, and nothing else can be done.
///
/// It may move to another thread between two calls, which is how a server signs beside its event loop (`sign`). Sound,
/// because there is one owner (`~Copyable`), an `SSL` is bound to no thread, what connections share is counted
/// atomically or locked inside OpenSSL, and the error queue, which does belong to a thread, is emptied before each step
/// and read after it on the thread that took the step.
public struct TLSEngine: ~Copyable, Sendable {
    /// What one call of `process` did.
    public struct Progress: Sendable, Equatable {
        /// Bytes of the input that are done with. Fewer than given only when plaintext is at its limit, or the handshake
        /// awaits its signature: give the rest again, from there, once there is room or `sign` has run.
        public let consumed: Int
        /// Whether the handshake became complete during this call.
        public let handshakeCompleted: Bool
        /// Whether the peer has said that it will send no more (close_notify). Whatever comes behind is ignored.
        public let isClosed: Bool
        /// Whether plaintext is left inside: call again, with or without input, once there is room.
        public let hasPending: Bool
        /// Whether the handshake cannot go on before `sign` was called.
        public let awaitsSignature: Bool
    }

    /// Most bytes a peer may send until the handshake is complete. A ClientHello is 0.3 to 2 KiB; a server sends its
    /// chain, for which OpenSSL's own limit of 100 KiB holds too.
    package static let maxHandshakeBytes = (fromClient: 64 << 10, fromServer: 160 << 10)
    /// Most records in a row, after the handshake, that carry no data: key updates, tickets, warnings. Each costs us
    /// more than the peer.
    package static let maxRecordsWithoutData = 32
    /// Most plaintext in one record (RFC 8446 §5.1).
    package static let maxRecordPlaintext = 16_384

    // The pointers stand first, or Swift 6.3.1 crashes on this file when it compiles for ThreadSanitizer ("Invalid
    // bitcast", i1 to ptr). All it takes is a noncopyable struct that stores a Bool and, behind it, a pointer to a
    // struct, with a method that calls a mutating method on the pointer's `pointee`.
    //
    // SAFETY: `ssl` and `transport` are allocated in init, freed in deinit, and never leave this value; why it may
    // change threads is said above.
    nonisolated(unsafe) let ssl: OpaquePointer
    nonisolated(unsafe) private let transport: UnsafeMutablePointer<RecordTransport>

    /// Whether data can be written and read. Stays true after the end.
    public private(set) var isHandshakeComplete = false
    /// Whether close_notify was received.
    public private(set) var isClosed = false
    /// Whether a server's handshake has stopped before the step that signs. Until `sign` is called `process` takes
    /// nothing.
    public private(set) var awaitsSignature = false

    /// The callbacks of `ssl` look at the context, so it must live as long.
    private let context: TLSContext
    private var hasFailed = false
    private var hasSentClose = false
    private var recordsWithoutData = 0
    /// Bytes the peer may still send before the handshake is complete.
    private var handshakeAllowance: Int
    /// Bytes taken since plaintext last came out: an upper bound for what the record begun earlier holds.
    private var bytesInside = 0

    /// A connection of a server.
    ///
    /// - Parameter pausesBeforeSigning: whether a full handshake stops before it signs, so that the caller can have
    ///   `sign` run elsewhere: see `TLSServerContext.isSigningExpensive`. A resumed session signs nothing and never stops.
    public init(server: TLSServerContext, pausesBeforeSigning: Bool = false) throws(TLSError) {
        let parts = try Self.makeParts(server.context)
        SSL_set_accept_state(parts.ssl)
        parts.transport.pointee.pausesBeforeSigning = pausesBeforeSigning
        self.init(parts, server.context, allowance: Self.maxHandshakeBytes.fromClient)
    }

    /// A connection of the server that the client will ask for by name.
    ///
    /// - Parameter pausesBeforeSigning: as above; at a server whose signatures take no time it does not stop all the same.
    public init(choice: TLSServerChoice, pausesBeforeSigning: Bool = false) throws(TLSError) {
        let parts = try Self.makeParts(choice.context)
        SSL_set_accept_state(parts.ssl)
        parts.transport.pointee.pausesBeforeSigning = pausesBeforeSigning
        self.init(parts, choice.context, allowance: Self.maxHandshakeBytes.fromClient)
    }

    /// A connection of a client, to be begun with `start`.
    ///
    /// - Parameter serverName: host name or address literal; what the server's certificate must name.
    /// - Parameter session: of an earlier connection to the same server, to resume. Ignored when it is worn out.
    /// - Throws: for a name that is neither.
    public init(
        client: TLSClientContext, serverName: String, session: TLSClientSession? = nil
    ) throws(TLSError) {
        let parts = try Self.makeParts(client.context)
        SSL_set_connect_state(parts.ssl)
        do throws(TLSError) {
            try client.setName(serverName, of: parts.ssl)
            if let session, SSL_set_session(parts.ssl, session.pointer) != 1 { throw .fromQueue("resume") }
        } catch {
            SSL_free(parts.ssl)
            RecordTransport.free(parts.transport)
            throw error
        }
        self.init(parts, client.context, allowance: Self.maxHandshakeBytes.fromServer)
    }

    /// Which server a server's connection is of: the number in the scope of its context, 0 where there is none.
    ///
    /// Where the client chooses, it counts once the handshake is complete.
    public var serverNumber: Int { transport.pointee.chosen?.number ?? context.number }

    private typealias Parts = (ssl: OpaquePointer, transport: UnsafeMutablePointer<RecordTransport>)

    private init(_ parts: Parts, _ context: TLSContext, allowance: Int) {
        (ssl, transport) = parts
        self.context = context
        handshakeAllowance = allowance
    }

    private static func makeParts(_ context: TLSContext) throws(TLSError) -> Parts {
        let ssl = try context.makeConnection()
        guard let (transport, bio) = RecordTransport.make() else {
            SSL_free(ssl)
            throw .fromQueue("make connection")
        }
        // The one reference to the BIO passes to `ssl`.
        SSL_set_bio(ssl, bio, bio)
        return (ssl, transport)
    }

    deinit {
        // Freeing a connection that was not closed takes a lock of the context and spoils a client's session. Only a
        // failure deserves that (RFC 5246 §7.2.2): a peer that just goes away is common and no attack on the session.
        if !hasFailed { SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN) }
        transport.pointee.wipe()
        SSL_free(ssl)
        RecordTransport.free(transport)
    }

    /// Appends a client's first flight to `output`. Does nothing for a server, or the second time.
    public mutating func start(output: inout ByteBuffer) throws(TLSError) {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        var none = ByteBuffer()
        _ = try process(nothing, plaintext: &none, plaintextLimit: 0, output: &output)
    }

    /// Takes records, whole or in any pieces: shakes hands, and decrypts what follows.
    ///
    /// - Parameter input: bytes as they came from the peer; may be empty to go on after plaintext was read.
    /// - Parameter plaintext: data is appended here until `plaintextLimit` bytes can be read from it.
    /// - Parameter output: whatever must be sent in consequence is appended here, also when this throws.
    /// - Throws: when the connection is over for another reason than the peer's close_notify.
    public mutating func process(
        _ input: Span<UInt8>, plaintext: inout ByteBuffer, plaintextLimit: Int, output: inout ByteBuffer
    ) throws(TLSError) -> Progress {
        try input.withUnsafeBytes { input throws(TLSError) in
            try process(input, plaintext: &plaintext, plaintextLimit: plaintextLimit, output: &output)
        }
    }

    /// The same for memory that is not a span's.
    package mutating func process(
        _ input: UnsafeRawBufferPointer, plaintext: inout ByteBuffer, plaintextLimit: Int, output: inout ByteBuffer
    ) throws(TLSError) -> Progress {
        try requireAlive("read")
        return try withUnsafeMutablePointer(to: &output) { output throws(TLSError) in
            transport.pointee.attach(input: input, output: output)
            defer {
                transport.pointee.detach()
                releaseBuffers()
            }
            let isShaking = !isHandshakeComplete && !isClosed && !awaitsSignature
            let completed = isShaking ? try shakeHands(input) : false
            if isHandshakeComplete { try readRecords(into: &plaintext, limit: plaintextLimit) }
            let consumed = isClosed ? input.count : input.count - transport.pointee.remaining
            return Progress(
                consumed: consumed, handshakeCompleted: completed, isClosed: isClosed, hasPending: SSL_pending(ssl) > 0,
                awaitsSignature: awaitsSignature)
        }
    }

    /// Takes the step of the handshake that `process` stopped before, and appends the server's flight to `output`. What
    /// `process` did not consume is given to it again afterwards. Does nothing when no signature is awaited.
    ///
    /// May run on any thread while nobody else touches the engine. With RSA-4096 it takes milliseconds of CPU. The
    /// handshake is not complete after it: the client's Finished is still to come.
    ///
    /// - Throws: as `process`; `output` may hold an alert that should still be sent.
    public mutating func sign(output: inout ByteBuffer) throws(TLSError) {
        try requireAlive("handshake")
        guard awaitsSignature else { return }
        awaitsSignature = false
        try withUnsafeMutablePointer(to: &output) { output throws(TLSError) in
            transport.pointee.attach(input: UnsafeRawBufferPointer(start: nil, count: 0), output: output)
            transport.pointee.maySign = true
            defer {
                transport.pointee.maySign = false
                transport.pointee.detach()
                releaseBuffers()
            }
            clearErrors()
            guard SSL_get_error(ssl, SSL_do_handshake(ssl)) == SSL_ERROR_WANT_READ else { throw fail("handshake") }
        }
    }

    /// Encrypts all of `plaintext` in records of at most 16 KiB each and appends them to `output`.
    ///
    /// The caller bounds what it gives: each record grows by 22 bytes (29 in TLS 1.2).
    ///
    /// - Throws: also before the handshake is complete and after `close`.
    public mutating func write(_ plaintext: Span<UInt8>, output: inout ByteBuffer) throws(TLSError) {
        try plaintext.withUnsafeBytes { plaintext throws(TLSError) in try write(plaintext, output: &output) }
    }

    /// The same for memory that is not a span's.
    package mutating func write(_ plaintext: UnsafeRawBufferPointer, output: inout ByteBuffer) throws(TLSError) {
        try requireAlive("write")
        guard isHandshakeComplete, !hasSentClose else {
            throw TLSError(operation: "write", detail: hasSentClose ? "closed" : "handshake not complete")
        }
        guard plaintext.count > 0 else { return }
        let records = (plaintext.count - 1) / Self.maxRecordPlaintext + 1
        output.reserve(plaintext.count + records * 32)
        try withUnsafeMutablePointer(to: &output) { output throws(TLSError) in
            transport.pointee.attach(input: UnsafeRawBufferPointer(start: nil, count: 0), output: output)
            // What is left of a write is ciphertext.
            COpenSSL_set_mode(ssl, Int(SSL_MODE_RELEASE_BUFFERS))
            defer {
                COpenSSL_clear_mode(ssl, Int(SSL_MODE_RELEASE_BUFFERS))
                transport.pointee.detach()
            }
            clearErrors()
            var written = 0
            // Our transport takes every byte, so this writes all or fails.
            guard SSL_write_ex(ssl, plaintext.baseAddress, plaintext.count, &written) == 1, written == plaintext.count
            else { throw fail("write") }
        }
        recordsWithoutData = 0
    }

    /// Appends close_notify to `output`, once. The peer may go on sending. Nothing is sent in the midst of a handshake
    /// or after a failure, where it would mean nothing.
    public mutating func close(output: inout ByteBuffer) {
        guard isHandshakeComplete, !hasFailed, !hasSentClose else { return }
        hasSentClose = true
        withUnsafeMutablePointer(to: &output) { output in
            transport.pointee.attach(input: UnsafeRawBufferPointer(start: nil, count: 0), output: output)
            defer {
                transport.pointee.detach()
                releaseBuffers()
            }
            clearErrors()
            // 0 says that the peer has not closed yet, which is as it should be.
            if SSL_shutdown(ssl) < 0 { clearErrors() }
        }
    }

    /// Tells that the peer's byte stream is over.
    ///
    /// - Throws: unless close_notify came before: the data may have been cut short by somebody in between.
    public mutating func endOfInput() throws(TLSError) {
        guard !isClosed else { return }
        hasFailed = true
        throw TLSError(
            operation: isHandshakeComplete ? "read" : "handshake",
            detail: "the byte stream ended without close_notify")
    }

    // MARK: Steps

    /// Gives the record buffers back, with nothing left in them. OpenSSL has a mode that does so after each record, but what
    /// was read would be gone before the plaintext in it can be overwritten; and its own option for that overwrites all
    /// 17 KiB of a buffer each time.
    private func releaseBuffers() {
        // "RB": a record's header has come and its body has not. OpenSSL before 3.0.14 does not count that as pending, and
        // frees the buffer under the record (CVE-2024-4741).
        guard SSL_has_pending(ssl) == 0, SSL_rstate_string(ssl)[1] != CChar(UInt8(ascii: "B")) else { return }
        transport.pointee.wipe()
        SSL_free_buffers(ssl)
    }

    /// Whether the handshake is complete now.
    private mutating func shakeHands(_ input: UnsafeRawBufferPointer) throws(TLSError) -> Bool {
        let lent = min(input.count, handshakeAllowance)
        transport.pointee.attach(input: UnsafeRawBufferPointer(rebasing: input[..<lent]))
        repeat {
            transport.pointee.isStarved = false
            clearErrors()
            let result = SSL_do_handshake(ssl)
            if result == 1 {
                isHandshakeComplete = true
                break
            }
            switch SSL_get_error(ssl, result) {
            case SSL_ERROR_WANT_READ: try countRecordWithoutData()
            case SSL_ERROR_WANT_X509_LOOKUP: awaitsSignature = true
            case SSL_ERROR_ZERO_RETURN:
                isClosed = true
                return false
            default: throw fail("handshake")
            }
        } while !transport.pointee.isStarved && !awaitsSignature
        let taken = lent - transport.pointee.remaining
        handshakeAllowance -= taken
        if awaitsSignature {
            transport.pointee.attach(input: UnsafeRawBufferPointer(rebasing: input[taken...]))
            return false
        }
        guard isHandshakeComplete else {
            if lent < input.count {
                throw fail("handshake", "the peer sent more than it may before the handshake is complete")
            }
            return false
        }
        recordsWithoutData = 0
        transport.pointee.attach(input: UnsafeRawBufferPointer(rebasing: input[taken...]))
        return true
    }

    private mutating func readRecords(into plaintext: inout ByteBuffer, limit: Int) throws(TLSError) {
        var before = transport.pointee.remaining
        defer { bytesInside += before - transport.pointee.remaining }
        while !isClosed, plaintext.count < limit {
            let pending = Int(SSL_pending(ssl)), remaining = transport.pointee.remaining
            // With nothing to take, OpenSSL would only set up a buffer and put it away.
            if pending == 0, remaining == 0 { return }
            // No more than can come out, so that a small message does not make the buffer a big one.
            let most = pending > 0 ? pending : min(remaining + bytesInside, Self.maxRecordPlaintext)
            transport.pointee.isStarved = false
            clearErrors()
            var result: CInt = 0
            _ = plaintext.append(atMost: min(max(most, 1), limit - plaintext.count)) { room in
                var count = 0
                result = SSL_read_ex(ssl, room.baseAddress, room.count, &count)
                return result == 1 ? count : 0
            }
            if result == 1 {
                recordsWithoutData = 0
                bytesInside = 0
                before = transport.pointee.remaining
                continue
            }
            switch SSL_get_error(ssl, result) {
            case SSL_ERROR_ZERO_RETURN: isClosed = true
            case SSL_ERROR_WANT_READ:
                if transport.pointee.isStarved { return }
                try countRecordWithoutData()
            default: throw fail("read")
            }
        }
    }

    private mutating func countRecordWithoutData() throws(TLSError) {
        if transport.pointee.isStarved { return }
        recordsWithoutData += 1
        guard recordsWithoutData <= Self.maxRecordsWithoutData else {
            throw fail("read", "more than \(Self.maxRecordsWithoutData) records in a row without data")
        }
    }

    private func requireAlive(_ operation: String) throws(TLSError) {
        guard !hasFailed else { throw TLSError(operation: operation, detail: "the connection has failed before") }
    }

    /// Marks the connection dead and says why.
    @inline(never)
    private mutating func fail(_ operation: String, _ note: String? = nil) -> TLSError {
        hasFailed = true
        var note = note
        let verdict = SSL_get_verify_result(ssl)
        if note == nil, verdict != Int(X509_V_OK), let text = X509_verify_cert_error_string(verdict) {
            note = String(cString: text)
        }
        return .fromQueue(operation, alert: transport.pointee.alert, note: note)
    }
}

/// Empties the thread's queue of errors, by which `SSL_get_error` judges. Usually it is empty, and asking costs a fraction.
private func clearErrors() {
    if ERR_peek_error() != 0 { ERR_clear_error() }
}
