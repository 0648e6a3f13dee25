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

    /// What one request leaves is not there for who gets its memory next, nor for who reads the process's.
    @Test(arguments: [100, BufferPool.smallSize, BufferPool.smallSize + 1, BufferPool.bufferSize])
    func whatComesBackIsWiped(_ count: Int) {
        for use in Use.allCases {
            var pool = BufferPool()
            // Memory that is fresh from the allocator holds anything.
            var fresh = pool.take(atLeast: count)
            fresh.append([UInt8](repeating: 0, count: fresh.capacity))
            pool.give(&fresh)
            var buffer = pool.take(atLeast: count)
            buffer.append([UInt8](repeating: 0xA5, count: count))
            use.apply(to: &buffer)
            let capacity = buffer.capacity
            pool.give(&buffer)
            #expect(pool.spareCount == 1)
            var again = pool.take(atLeast: count)
            #expect(again.capacity == capacity)
            let left = again.append(all: capacity) { $0.contains(0xA5) }
            #expect(!left, "\(count) bytes, \(use)")
        }
    }

    /// How the bytes of a buffer go before it comes back.
    enum Use: CaseIterable {
        case nothing, consumed, consumedInPart, removed, truncated, movedInside, headroom

        func apply(to buffer: inout ByteBuffer) {
            switch self {
            case .nothing: break
            case .consumed: buffer.consume(buffer.count)
            case .consumedInPart: buffer.consume(buffer.count / 2)
            case .removed: buffer.removeAll()
            case .truncated: buffer.truncate(to: 1)
            case .movedInside:
                // The rest goes to the front, and its old place stays above what is in use.
                buffer.consume(buffer.count - 1)
                buffer.reserve(buffer.capacity - 1)
            case .headroom:
                buffer.removeAll(headroom: 32)
                buffer.append(1)
            }
        }
    }

    /// Bytes in it, and bytes it has room for.
    private func size(_ buffer: borrowing ByteBuffer) -> [Int] { [buffer.count, buffer.capacity] }
}

extension ByteBuffer {
    /// Looks at the memory behind the readable bytes, all of it, without writing.
    fileprivate mutating func append(all count: Int, _ look: (UnsafeMutableRawBufferPointer) -> Bool) -> Bool {
        var result = false
        _ = append(atMost: count) { room in
            result = look(room)
            return 0
        }
        return result
    }
}
