public import TunnelCore

/// A TLS connection over any byte stream, with its buffers: for embedders that move the bytes themselves.
///
/// Feed what the peer sent, send what `output` holds, read and send plaintext in between. No sockets, no clock, no
/// callbacks. A server with thousands of connections drives a `TLSEngine` with buffers of its own instead.
///
///     var stream = try TLSStream(client: context, serverName: "mcp.example.com")
///     transport.write(stream.takeOutput())
///     while !stream.isHandshakeComplete {
///         try stream.feed(transport.read())
///         transport.write(stream.takeOutput())
///     }
public struct TLSStream: ~Copyable, Sendable {
    /// The connection itself, for what was agreed on.
    public private(set) var engine: TLSEngine
    /// Records to be sent to the peer, also after a throw. ``consumeOutput(_:)`` or ``takeOutput()`` for what was sent.
    public private(set) var output: ByteBuffer
    /// Decrypted bytes that nobody has read.
    private var plaintext = ByteBuffer()
    /// Records that came while `plaintext` was at its limit.
    private var held = ByteBuffer()
    private let readLimit: Int

    /// A server's stream.
    ///
    /// - Parameter readLimit: most decrypted bytes kept unread. Above it records stay encrypted, and `isReadable` and
    ///   `wantsInput` tell the caller to read first.
    public init(server: TLSServerContext, readLimit: Int = 256 << 10) throws(TLSError) {
        engine = try TLSEngine(server: server)
        output = ByteBuffer()
        self.readLimit = max(1, readLimit)
    }

    /// A client's stream; its first flight is in `output`.
    ///
    /// - Parameter serverName: host name or address literal, which the server's certificate must name.
    /// - Parameter session: of an earlier connection to the same server, to resume.
    public init(
        client: TLSClientContext, serverName: String, session: TLSClientSession? = nil, readLimit: Int = 256 << 10
    ) throws(TLSError) {
        var engine = try TLSEngine(client: client, serverName: serverName, session: session)
        var output = ByteBuffer()
        try engine.start(output: &output)
        self.engine = engine
        self.output = output
        self.readLimit = max(1, readLimit)
    }

    /// Whether data can be sent and read.
    public var isHandshakeComplete: Bool { engine.isHandshakeComplete }
    /// Whether `read` has bytes to give.
    public var isReadable: Bool { !plaintext.isEmpty }
    /// Whether the next `feed` would be decrypted at once. While false, bytes are better left where they are.
    public var wantsInput: Bool { held.isEmpty && plaintext.count < readLimit }
    /// Whether the peer has sent close_notify and all before it was read.
    public var isAtEnd: Bool { engine.isClosed && plaintext.isEmpty }

    /// Takes bytes that came from the peer, in any pieces.
    ///
    /// - Throws: when the connection is over; `output` may hold an alert that should still be sent.
    public mutating func feed(_ bytes: Span<UInt8>) throws(TLSError) {
        guard held.isEmpty else {
            // Their turn is behind what is held.
            held.append(bytes)
            return
        }
        let consumed = try process(bytes)
        if consumed < bytes.count { held.append(bytes.extracting(droppingFirst: consumed)) }
    }

    /// The same for a whole array.
    public mutating func feed(_ bytes: [UInt8]) throws(TLSError) { try feed(bytes.span) }

    /// Takes up to `atMost` decrypted bytes; none when none have come.
    ///
    /// - Throws: when the records that now have room turn out to be broken.
    public mutating func read(atMost: Int = .max) throws(TLSError) -> [UInt8] {
        let count = min(max(0, atMost), plaintext.count)
        let bytes = plaintext.withBytes { span in span.extracting(first: count).withUnsafeBytes { [UInt8]($0) } }
        plaintext.consume(count)
        try refill()
        return bytes
    }

    /// Encrypts `bytes` into `output`, which the caller bounds by what it sends before sending more.
    ///
    /// - Throws: also before the handshake is complete and after `close`.
    public mutating func send(_ bytes: Span<UInt8>) throws(TLSError) {
        try engine.write(bytes, output: &output)
    }

    /// The same for a whole array.
    public mutating func send(_ bytes: [UInt8]) throws(TLSError) { try send(bytes.span) }

    /// All of `output`, which is empty then.
    public mutating func takeOutput() -> [UInt8] {
        defer { output.removeAll() }
        return output.array
    }

    /// Drops the first `count` bytes of `output`, which a transport has taken.
    public mutating func consumeOutput(_ count: Int) { output.consume(count) }

    /// Says that no more will be sent; the notice is in `output`.
    public mutating func close() { engine.close(output: &output) }

    /// Tells that the peer's byte stream is over.
    ///
    /// - Throws: unless close_notify came before: the data may be cut short.
    public mutating func endOfInput() throws(TLSError) { try engine.endOfInput() }

    /// Decrypts held records into the room that reading made.
    private mutating func refill() throws(TLSError) {
        guard !engine.isClosed, plaintext.count < readLimit else { return }
        // Taken out while it is lent to the engine; what is not consumed goes back.
        var records = ByteBuffer()
        swap(&records, &held)
        let consumed = try records.withBytes { bytes throws(TLSError) in try process(bytes) }
        records.consume(consumed)
        swap(&records, &held)
    }

    private mutating func process(_ bytes: Span<UInt8>) throws(TLSError) -> Int {
        try engine.process(bytes, plaintext: &plaintext, plaintextLimit: readLimit, output: &output).consumed
    }
}
