import Testing
import TunnelCore

@Suite struct MaskingKeyTests {
    /// RFC 6455 §5.3, byte by byte: the reference.
    private func reference(_ key: [UInt8], _ bytes: [UInt8], offset: Int) -> [UInt8] {
        bytes.indices.map { bytes[$0] ^ key[($0 + offset) % 4] }
    }

    @Test func everyOffsetAndLength() {
        let bytes = [UInt8](0..<80).map { $0 &* 37 }
        for offset in 0...17 {
            for count in 0...64 {
                for start in 0..<8 {
                    var area = bytes
                    area.withUnsafeMutableBytes {
                        applyMask(
                            MaskingKey(1, 0x20, 0x83, 0xF4),
                            to: UnsafeMutableRawBufferPointer(rebasing: $0[start..<start + count]), offset: offset)
                    }
                    let middle = reference(
                        [1, 0x20, 0x83, 0xF4], Array(bytes[start..<start + count]), offset: offset)
                    #expect(area == Array(bytes[..<start]) + middle + bytes[(start + count)...])
                }
            }
        }
    }

    /// A payload of no bytes, in front of others and in no memory at all.
    @Test func nothingToMask() {
        var area: [UInt8] = [5, 6, 7, 8]
        area.withUnsafeMutableBytes {
            applyMask(MaskingKey(1, 2, 3, 4), to: UnsafeMutableRawBufferPointer(rebasing: $0[2..<2]), offset: 1)
        }
        #expect(area == [5, 6, 7, 8])
        var buffer = ByteBuffer()
        buffer.withMutableSpan { MaskingKey(1, 2, 3, 4).apply(to: &$0) }
        #expect(buffer.array == [])
    }

    @Test func masksASpan() {
        var area: [UInt8] = [5, 6, 7, 8, 9]
        var span = area.mutableSpan
        MaskingKey(1, 2, 3, 4).apply(to: &span, offset: 3)
        #expect(area == reference([1, 2, 3, 4], [5, 6, 7, 8, 9], offset: 3))
        var buffer = ByteBuffer()
        buffer.append([5, 6, 7, 8, 9])
        buffer.consume(1)
        buffer.withMutableSpan { MaskingKey(1, 2, 3, 4).apply(to: &$0) }
        #expect(buffer.array == reference([1, 2, 3, 4], [6, 7, 8, 9], offset: 0))
    }

    @Test func isItsOwnInverse() {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
        var area = bytes
        for _ in 0..<2 { area.withUnsafeMutableBytes { applyMask(MaskingKey(9, 8, 7, 6), to: $0) } }
        #expect(area == bytes)
    }

    /// Client frames carry fresh keys; 1,000 of 32 bits practically never repeat more than a few times.
    @Test func freshKeys() {
        var encoder = FrameEncoder(role: .client)
        let keys = Set((0..<1000).map { _ in encoder.header(.binary, payloadLength: 0).mask })
        #expect(keys.count > 990 && !keys.contains(nil))
    }
}
