package import TunnelCore

/// Spare memory for the byte buffers of one loop: a busy connection takes it and gives it back without the allocator,
/// an idle one holds none.
///
/// What comes back has carried requests and responses, with tokens and cookies, so it is wiped at once: as far as it was
/// written, whether it is kept or goes back to the allocator.
package struct BufferPool: ~Copyable {
    /// One TLS record, or one large read of a body, with room for a chunk header in front.
    package static let bufferSize = 64 * 1024 + 64
    /// A usual request, head and body. Many are held at once, each until its response begins, so they are kept small.
    package static let smallSize = 4 * 1024
    /// At most 2 MiB of large buffers are kept, and 1 MiB of small ones.
    private static let maxSpare = 32
    private static let maxSpareSmall = 256
    private var spare: [UnsafeMutableRawPointer] = []
    private var spareSmall: [UnsafeMutableRawPointer] = []

    init() {
        spare.reserveCapacity(BufferPool.maxSpare)
        spareSmall.reserveCapacity(BufferPool.maxSpareSmall)
    }

    /// Buffers that are there to be taken.
    package var spareCount: Int { spare.count + spareSmall.count }

    deinit { for memory in spare + spareSmall { memory.deallocate() } }

    /// An empty buffer with room for `count` bytes, and often for more. It may grow.
    package mutating func take(atLeast count: Int) -> ByteBuffer {
        guard count <= BufferPool.smallSize else { return take() }
        let memory = spareSmall.popLast() ?? .allocate(byteCount: BufferPool.smallSize, alignment: 16)
        return ByteBuffer(adopting: memory, capacity: BufferPool.smallSize)
    }

    /// An empty buffer with ``bufferSize`` bytes of memory.
    package mutating func take() -> ByteBuffer {
        let memory = spare.popLast() ?? .allocate(byteCount: BufferPool.bufferSize, alignment: 16)
        return ByteBuffer(adopting: memory, capacity: BufferPool.bufferSize)
    }

    /// Takes the memory of `buffer` and leaves it empty. Memory of another size goes back to the allocator.
    package mutating func give(_ buffer: inout ByteBuffer) {
        if buffer.capacity == 0 { return }
        if buffer.capacity == BufferPool.smallSize, spareSmall.count < BufferPool.maxSpareSmall,
            let memory = buffer.surrender()
        {
            spareSmall.append(memory)
            return
        }
        if buffer.capacity == BufferPool.bufferSize, spare.count < BufferPool.maxSpare, let memory = buffer.surrender()
        {
            spare.append(memory)
        } else {
            buffer.wipe()
            buffer.release()
        }
    }
}
