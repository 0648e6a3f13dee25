import Testing
import TunnelCore

@Suite struct ChunkedEncodingTests {
    @Test(arguments: [(1, "1"), (9, "9"), (10, "A"), (255, "FF"), (16_384, "4000"), (Int.max, "7FFFFFFFFFFFFFFF")])
    func writesHeaders(_ size: Int, _ digits: String) {
        var memory = [UInt8](repeating: 0x2E, count: 24)
        let length = memory.withUnsafeMutableBytes { room in
            room.baseAddress.map { ChunkedEncoding.writeHeader(size: size, endingAt: $0 + 20) } ?? 0
        }
        let header = HTTPSamples.bytes(digits + "\r\n")
        #expect(length == header.count && length <= ChunkedEncoding.maxHeaderSize)
        let dots: (Int) -> [UInt8] = { [UInt8](repeating: 0x2E, count: $0) }
        #expect(memory == dots(20 - length) + header + dots(4))
        var out = ByteBuffer()
        ChunkedEncoding.appendHeader(size: size, into: &out)
        #expect(out.array == header)
    }

    /// A chunk of size 0 would end the body.
    @Test func emptyChunkIsNothing() {
        var out = ByteBuffer()
        ChunkedEncoding.appendHeader(size: 0, into: &out)
        ChunkedEncoding.appendChunk([UInt8]().span, into: &out)
        #expect(out.array == [])
    }

    @Test func endsWithTrailers() {
        var out = ByteBuffer()
        ChunkedEncoding.appendEnd(into: &out)
        ChunkedEncoding.appendEnd(trailers: HTTPSamples.bytes("A: b\r\n"), into: &out)
        #expect(HTTPSamples.text(out.array) == "0\r\n\r\n0\r\nA: b\r\n\r\n")
    }

    /// What is encoded decodes to the same payload and trailers, whatever the pieces on either side.
    @Test func roundTrips() {
        for _ in 0..<100 {
            var payload: [UInt8] = []
            var out = ByteBuffer()
            for _ in 0..<Int.random(in: 0...8) {
                let piece = (0..<Int.random(in: 0...600)).map { _ in UInt8.random(in: 0...255) }
                payload += piece
                ChunkedEncoding.appendChunk(piece.span, into: &out)
            }
            let trailers = HTTPSamples.bytes(Bool.random() ? "X: y\r\n" : "")
            ChunkedEncoding.appendEnd(trailers: trailers, into: &out)
            let encoded = out.array
            let cuts = (0..<Int.random(in: 0...5)).map { _ in Int.random(in: 0...encoded.count) }.sorted()
            let result = BodyDecoderTests.decode(encoded, cuts: cuts)
            #expect(result.isComplete && result.payload == payload && result.trailers == trailers)
            #expect(result.consumed == encoded.count)
        }
    }
}
