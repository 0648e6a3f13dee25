package import TunnelCore

/// Spare memory for the byte buffers of one loop: a busy connection takes it and gives it back without the allocator,
/// an idle one holds none.
package struct BufferPool: ~Copyable {
    /// One TLS record, or one large read of a body, with room for a chunk header in front.
    package static let bufferSize = 64 * 1024 + 64
    /// At most 2 MiB are kept.
    private static let maxSpare = 32
    private var spare: [UnsafeMutableRawPointer] = []

    init() { spare.reserveCapacity(BufferPool.maxSpare) }

    deinit { for memory in spare { memory.deallocate() } }

    /// An empty buffer with ``bufferSize`` bytes of memory.
    package mutating func take() -> ByteBuffer {
        let memory = spare.popLast() ?? .allocate(byteCount: BufferPool.bufferSize, alignment: 16)
        return ByteBuffer(adopting: memory, capacity: BufferPool.bufferSize)
    }

    /// Takes the memory of `buffer` and leaves it empty. Memory of another size goes back to the allocator.
    package mutating func give(_ buffer: inout ByteBuffer) {
        if buffer.capacity == BufferPool.bufferSize, spare.count < BufferPool.maxSpare, let memory = buffer.surrender()
        {
            spare.append(memory)
        } else {
            buffer.release()
        }
    }
}
