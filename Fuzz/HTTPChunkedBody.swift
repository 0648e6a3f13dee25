import TunnelCore

/// A chunked body decodes the same in any pieces, and encoded again it decodes to the same payload and trailers.
func checkHTTPChunkedBody(_ bytes: [UInt8]) {
    let whole = Decoded(bytes, piece: max(1, bytes.count))
    // The first byte chooses the pieces.
    for piece in [1, 2 + Int(bytes.first ?? 0) % 61] {
        let split = Decoded(bytes, piece: piece)
        precondition(split.error == whole.error, "pieces change the error")
        guard whole.error == nil else { continue }
        precondition(split.payload == whole.payload && split.trailers == whole.trailers, "pieces change the body")
        precondition(split.consumed == whole.consumed && split.isComplete == whole.isComplete, "pieces change the end")
    }
    guard whole.isComplete else { return }
    var out = ByteBuffer()
    for start in stride(from: 0, to: whole.payload.count, by: 100) {
        let end = min(start + 100, whole.payload.count)
        ChunkedCoding.appendChunk(whole.payload.span.extracting(start..<end), into: &out)
    }
    ChunkedCoding.appendEnd(trailers: whole.trailers, into: &out)
    let again = Decoded(out.array, piece: 7)
    precondition(again.error == nil && again.isComplete && again.consumed == out.count, "our own encoding is refused")
    precondition(again.payload == whole.payload && again.trailers == whole.trailers, "our own encoding differs")
}

private struct Decoded {
    private(set) var payload: [UInt8] = []
    private(set) var trailers: [UInt8] = []
    private(set) var consumed = 0
    private(set) var isComplete = false
    private(set) var error: String?

    init(_ bytes: [UInt8], piece: Int) {
        // Small, so that the fuzzer reaches the limits too.
        var decoder = BodyDecoder(.chunked, trailerLimits: HeadLimits(maxBytes: 256, maxFields: 8))
        var start = 0
        while start < bytes.count, !decoder.isComplete {
            var memory = Array(bytes[start..<min(start + piece, bytes.count)])
            do {
                let (consumed, produced) = try memory.withUnsafeMutableBytes { try decoder.decode(inPlace: $0) }
                precondition(produced <= consumed && (consumed == memory.count || decoder.isComplete))
                payload += memory[..<produced]
                self.consumed += consumed
            } catch {
                self.error = "\(error)"
                return
            }
            start += memory.count
        }
        trailers = decoder.trailers
        isComplete = decoder.isComplete
    }
}
