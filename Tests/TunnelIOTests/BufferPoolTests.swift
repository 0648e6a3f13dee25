import Testing
import TunnelCore

@testable import TunnelIO

@Suite struct BufferPoolTests {
    @Test func memoryComesBack() {
        var pool = BufferPool()
        var buffer = pool.take()
        #expect(size(buffer) == [0, BufferPool.bufferSize])
        buffer.append([1, 2, 3])
        let place = buffer.withMutableBytes { UInt(bitPattern: $0.baseAddress) }
        pool.give(&buffer)
        #expect(size(buffer) == [0, 0])
        var again = pool.take()
        #expect(size(again) == [0, BufferPool.bufferSize])
        again.append([4])
        let newPlace = again.withMutableBytes { UInt(bitPattern: $0.baseAddress) }
        #expect(newPlace == place)
    }

    @Test func memoryOfAnotherSizeIsNotKept() {
        var pool = BufferPool()
        var grown = pool.take()
        grown.append([UInt8](repeating: 1, count: BufferPool.bufferSize + 1))
        #expect(size(grown)[1] > BufferPool.bufferSize)
        pool.give(&grown)
        #expect(size(grown) == [0, 0])
        let next = pool.take()
        #expect(size(next) == [0, BufferPool.bufferSize])
        var empty = ByteBuffer()
        pool.give(&empty)
        #expect(size(empty) == [0, 0])
    }

    /// Bytes in it, and bytes it has room for.
    private func size(_ buffer: borrowing ByteBuffer) -> [Int] { [buffer.count, buffer.capacity] }
}
