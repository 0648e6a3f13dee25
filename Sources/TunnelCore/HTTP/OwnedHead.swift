/// A request head with the bytes that its ranges point into, so that it can be read and passed on after any wait.
///
/// A head alone is ranges into memory of somebody else, and is right only until that memory moves: with heads of a whole
/// loop in one place, an `await` between parsing and forwarding would mix two clients' requests. This one is parsed where
/// the bytes arrive, in the connection's buffer, and then keeps a copy of them in an arena of its own. A decoder of
/// HTTP/2 writes the lines into the arena itself.
///
/// Not copyable: the arena and the storage of the fields go back to their pools once, by ``release(to:)``.
package struct OwnedRequestHead: ~Copyable {
    package internal(set) var head: RequestHead
    var arena = ByteBuffer()

    /// - Parameter storage: a head of an earlier request, for its memory.
    package init(storage: consuming RequestHead = RequestHead()) {
        storage.reset()
        head = storage
    }

    /// A head whose bytes are in `arena` already.
    package init(_ head: consuming RequestHead, in arena: consuming ByteBuffer) {
        self.head = head
        self.arena = arena
    }

    /// Copies the head's bytes off the front of `received`, where it was parsed, into `memory`. Now `received` may go.
    package mutating func keep(_ received: Span<UInt8>, in memory: consuming ByteBuffer) {
        guard let size = head.size else { preconditionFailure("a head that is not whole is kept") }
        arena = memory
        arena.removeAll()
        arena.append(received.extracting(0..<size))
    }

    /// Reads the bytes that the head's ranges count from.
    package func withBytes<R: ~Copyable, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        try arena.withBytes(body)
    }

    /// Forgets the head.
    ///
    /// - Returns: the arena, for the pool of buffers it came from.
    package mutating func release(to pool: inout HeadPool) -> ByteBuffer {
        pool.give(head)
        head = RequestHead()
        return exchange(&arena, with: ByteBuffer())
    }
}

/// A response head with the bytes that its ranges point into, as ``OwnedRequestHead`` is for requests.
package struct OwnedResponseHead: ~Copyable {
    package internal(set) var head: ResponseHead
    var arena = ByteBuffer()

    /// - Parameter storage: a head of an earlier response, for its memory.
    package init(storage: consuming ResponseHead = ResponseHead()) {
        storage.reset()
        head = storage
    }

    /// Forgets an interim head and its bytes, for the next one of the same request.
    package mutating func reset() {
        head.reset()
        arena.removeAll()
    }

    /// Copies the head's bytes off the front of `received`, where it was parsed, into `memory`. Now `received` may go.
    package mutating func keep(_ received: Span<UInt8>, in memory: consuming ByteBuffer) {
        guard let size = head.size else { preconditionFailure("a head that is not whole is kept") }
        arena = memory
        arena.removeAll()
        arena.append(received.extracting(0..<size))
    }

    /// Reads the bytes that the head's ranges count from.
    package func withBytes<R: ~Copyable, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        try arena.withBytes(body)
    }

    /// Forgets the head.
    ///
    /// - Returns: the arena, for the pool of buffers it came from.
    package mutating func release(to pool: inout HeadPool) -> ByteBuffer {
        pool.give(head)
        head = ResponseHead()
        return exchange(&arena, with: ByteBuffer())
    }
}

/// The memory of finished heads, for one loop: with it a request's fields need no allocation.
package struct HeadPool: ~Copyable {
    /// Heads of each kind that are kept.
    package static let maxSpare = 128
    /// A head that had more fields than this is not kept: few have, and a flood of them is not to fill the pool.
    package static let maxFields = 64

    private var requests: [RequestHead] = []
    private var responses: [ResponseHead] = []

    package init() {}

    package mutating func takeRequest() -> RequestHead { requests.popLast() ?? RequestHead() }

    package mutating func takeResponse() -> ResponseHead { responses.popLast() ?? ResponseHead() }

    package mutating func give(_ head: RequestHead) {
        guard requests.count < Self.maxSpare, 1...Self.maxFields ~= head.section.capacity else { return }
        requests.append(head)
    }

    package mutating func give(_ head: ResponseHead) {
        guard responses.count < Self.maxSpare, 1...Self.maxFields ~= head.section.capacity else { return }
        responses.append(head)
    }
}
