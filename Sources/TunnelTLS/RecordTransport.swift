internal import COpenSSL
internal import Glibc
internal import TunnelCore

/// What stands where OpenSSL expects a socket: it reads records from the caller's bytes where they lie, and writes
/// them to the end of the caller's buffer.
///
/// One lives on the heap beside each `SSL`, at an address that OpenSSL keeps. Its pointers are set only while a call
/// of the engine runs.
struct RecordTransport {
    /// What is left of the caller's input.
    private var input: UnsafeRawBufferPointer
    private var output: UnsafeMutablePointer<ByteBuffer>?
    /// OpenSSL asked for more bytes than there are.
    var isStarved = false
    /// The last alert in either direction that was not an orderly end.
    var alert: TLSAlert?
    /// Whether a handshake that is about to sign stops unless `maySign`.
    var pausesBeforeSigning = false
    /// Set while `TLSEngine.sign` runs, and no longer: a second ClientHello stops the handshake again.
    var maySign = false

    /// The server that the client asked for, where there are several. Held: the callbacks look at it.
    var chosen: TLSContext?

    /// Where OpenSSL took the records that came, which is where it decrypts them as well: in its read buffer.
    private var taken: (start: UnsafeMutableRawPointer, end: UnsafeMutableRawPointer)?

    /// A transport and the `BIO` over it, both owned by the caller; nil without memory.
    static func make() -> (transport: UnsafeMutablePointer<RecordTransport>, bio: OpaquePointer)? {
        guard let method, let bio = BIO_new(method) else { return nil }
        let transport = UnsafeMutablePointer<RecordTransport>.allocate(capacity: 1)
        transport.initialize(to: RecordTransport())
        BIO_set_data(bio, transport)
        return (transport, bio)
    }

    private init() { input = UnsafeRawBufferPointer(start: nil, count: 0) }

    /// Frees what ``make()`` has made, once nothing looks at it any more.
    static func free(_ transport: UnsafeMutablePointer<RecordTransport>) {
        transport.deinitialize(count: 1)
        transport.deallocate()
    }

    /// Bytes of the input that OpenSSL has not taken.
    var remaining: Int { input.count }

    /// Lends the caller's memory until `detach`.
    ///
    /// SAFETY: both pointers come from a `with` block of the engine that spans every call between these two.
    mutating func attach(input: UnsafeRawBufferPointer, output: UnsafeMutablePointer<ByteBuffer>) {
        self.input = input
        self.output = output
    }

    mutating func detach() {
        input = UnsafeRawBufferPointer(start: nil, count: 0)
        output = nil
    }

    /// Replaces the input in the midst of a call.
    mutating func attach(input: UnsafeRawBufferPointer) { self.input = input }

    /// -1 and `isStarved` when there is nothing.
    fileprivate mutating func read(into room: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(room.count, input.count)
        guard count > 0, let source = input.baseAddress else {
            isStarved = true
            return -1
        }
        if let start = room.baseAddress {
            start.copyMemory(from: source, byteCount: count)
            taken = (min(taken?.start ?? start, start), max(taken?.end ?? start, start + count))
        }
        input = UnsafeRawBufferPointer(rebasing: input[count...])
        return count
    }

    /// Overwrites the plaintext in OpenSSL's read buffer, which the caller knows to be the one that was read to.
    mutating func wipe() {
        // SAFETY: all reads since the last call were to that one buffer, and what lies between them is in it too.
        if let taken { explicit_bzero(taken.start, taken.end - taken.start) }
        taken = nil
    }

    fileprivate mutating func write(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard let output else { return -1 }
        output.pointee.append(bytes)
        return bytes.count
    }

    /// The transport behind a `BIO` of ours.
    static func of(_ bio: OpaquePointer?) -> UnsafeMutablePointer<RecordTransport>? {
        BIO_get_data(bio)?.assumingMemoryBound(to: RecordTransport.self)
    }

    // SAFETY: made once, then only read. Never freed: connections may live until the process ends.
    nonisolated(unsafe) private static let method: OpaquePointer? = {
        guard let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "records"),
            BIO_meth_set_create(method, create) == 1,
            BIO_meth_set_read(method, readRecords) == 1,
            BIO_meth_set_write(method, writeRecords) == 1,
            BIO_meth_set_ctrl(method, control) == 1
        else { return nil }
        return method
    }()
}

private func create(_ bio: OpaquePointer?) -> CInt {
    BIO_set_init(bio, 1)
    return 1
}

private func readRecords(_ bio: OpaquePointer?, _ room: UnsafeMutablePointer<CChar>?, _ count: CInt) -> CInt {
    BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
    guard let transport = RecordTransport.of(bio), let room, count > 0 else { return 0 }
    let read = transport.pointee.read(into: UnsafeMutableRawBufferPointer(start: room, count: Int(count)))
    if read < 0 { BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY) }
    return CInt(read)
}

private func writeRecords(_ bio: OpaquePointer?, _ bytes: UnsafePointer<CChar>?, _ count: CInt) -> CInt {
    guard let transport = RecordTransport.of(bio), let bytes, count > 0 else { return 0 }
    return CInt(transport.pointee.write(UnsafeRawBufferPointer(start: bytes, count: Int(count))))
}

/// Writes are never held back here, so a flush has nothing to do. No other command applies.
private func control(
    _ bio: OpaquePointer?, _ command: CInt, _ number: Int, _ pointer: UnsafeMutableRawPointer?
) -> Int {
    command == BIO_CTRL_FLUSH ? 1 : 0
}
