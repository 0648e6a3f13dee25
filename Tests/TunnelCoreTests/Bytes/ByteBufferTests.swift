import Testing
import TunnelCore

@Suite struct ByteBufferTests {
    @Test func emptyOwnsNothing() {
        let buffer = ByteBuffer()
        #expect(buffer.isEmpty && buffer.capacity == 0)
        #expect(buffer.array == [])
    }

    @Test func readsBackWhatWasAppended() {
        var buffer = ByteBuffer()
        buffer.append("ab" as StaticString)
        buffer.append(0x63)
        buffer.append([0x64, 0x65])
        buffer.append("f" as String)
        #expect(buffer.array == Array("abcdef".utf8))
        buffer.consume(2)
        #expect(buffer.array == Array("cdef".utf8) && buffer[0] == 0x63)
    }

    /// A model test: the same operations on an array give the same bytes, whatever the moves and growths in between.
    @Test func agreesWithAnArray() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var buffer = ByteBuffer()
            var model: [UInt8] = []
            for _ in 0..<100 {
                if Bool.random(using: &random) {
                    let bytes = (0..<Int.random(in: 0...200)).map { _ in UInt8.random(in: 0...255) }
                    buffer.append(bytes)
                    model += bytes
                } else {
                    let count = Int.random(in: 0...model.count)
                    buffer.consume(count)
                    model.removeFirst(count)
                }
                #expect(buffer.array == model)
            }
        }
    }

    @Test func reusesConsumedRoom() {
        var buffer = ByteBuffer(capacity: 128)
        for _ in 0..<1_000 {
            buffer.append([UInt8](repeating: 1, count: 60))
            buffer.consume(60)
        }
        #expect(buffer.capacity == 128)
    }

    @Test(arguments: [0, 9, 10, 65_535, UInt64.max]) func writesDecimals(_ value: UInt64) {
        var buffer = ByteBuffer()
        buffer.append(decimal: value)
        #expect(String(decoding: buffer.array, as: UTF8.self) == String(value))
    }

    @Test func releaseGivesMemoryBack() {
        var buffer = ByteBuffer(capacity: 4096)
        buffer.append(1)
        buffer.release()
        #expect(buffer.capacity == 0 && buffer.isEmpty)
    }
}
