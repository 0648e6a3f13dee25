internal import CZlib

/// Owns one zlib compressor for raw deflate (RFC 1951).
///
/// zlib's state points back to its `z_stream`, so that lives on the heap and never moves. Noncopyable: ended once.
struct Deflater: ~Copyable {
    private let stream: UnsafeMutablePointer<z_stream>

    /// - Parameter windowBits: 8...15. zlib has no raw deflate with a window of 256 bytes; with 8, matches are limited
    ///   to the byte just before (Z_RLE), so that the output fits that window, if less tightly than it could.
    /// - Parameter level: 0...9, or -1 for zlib's default of 6.
    /// - Parameter memoryLevel: 1...9; the state takes about 2^(windowBits+2) + 2^(memoryLevel+9) bytes.
    init(windowBits: Int, level: Int, memoryLevel: Int) throws(WebSocketError) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let strategy = windowBits == 8 ? Z_RLE : Z_DEFAULT_STRATEGY
        let result = CZlib_deflateInit2(
            stream, CInt(level), -CInt(max(windowBits, 9)), CInt(memoryLevel), strategy)
        // deflateEnd, which the deinitialiser calls, does nothing to a stream whose initialisation failed.
        guard result == Z_OK else { throw WebSocketError(code: .internalError, reason: "deflateInit2: \(result)") }
    }

    deinit {
        deflateEnd(stream)
        stream.deinitialize(count: 1)
        stream.deallocate()
    }

    /// Compresses `input` behind what `output` holds; with `flush` everything taken so far comes out, ended by an empty
    /// stored block (Z_SYNC_FLUSH).
    mutating func compress(
        _ input: UnsafeRawBufferPointer, flush: Bool, into output: inout ByteBuffer
    ) throws(WebSocketError) {
        var rest = input
        repeat {
            // zlib counts in 32 bits.
            let count = min(rest.count, 1 << 30)
            let isLast = count == rest.count
            // SAFETY: zlib only reads through next_in, and only during this call of `run`.
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: rest.baseAddress?.assumingMemoryBound(to: Bytef.self))
            stream.pointee.avail_in = UInt32(count)
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            try run(flush && isLast ? Z_SYNC_FLUSH : Z_NO_FLUSH, into: &output)
        } while !rest.isEmpty
    }

    private func run(_ flush: CInt, into output: inout ByteBuffer) throws(WebSocketError) {
        var isDone = false
        while !isDone {
            // More than six bytes of room, or zlib may write the flush marker twice.
            let bound = Int(deflateBound(stream, UInt(stream.pointee.avail_in)))
            _ = try output.append(atMost: min(max(bound, 256), 32_768)) { room throws(WebSocketError) -> Int in
                stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: Bytef.self)
                stream.pointee.avail_out = UInt32(room.count)
                let result = deflate(stream, flush)
                // Z_BUF_ERROR says that there was nothing left to do.
                guard result == Z_OK || result == Z_BUF_ERROR else {
                    throw WebSocketError(code: .internalError, reason: "deflate: \(result)")
                }
                isDone = stream.pointee.avail_out > 0
                return room.count - Int(stream.pointee.avail_out)
            }
        }
        (stream.pointee.next_in, stream.pointee.next_out) = (nil, nil)
    }

    /// Forgets the window; the next block refers to nothing before it.
    mutating func reset() { deflateReset(stream) }
}

/// Owns one zlib decompressor for raw deflate.
struct Inflater: ~Copyable {
    private let stream: UnsafeMutablePointer<z_stream>

    /// - Parameter windowBits: 8...15; the window takes 2^windowBits bytes once it is needed. It bounds our memory, not
    ///   the peer: zlib lets a match reach further back within the output of one call.
    init(windowBits: Int) throws(WebSocketError) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let result = CZlib_inflateInit2(stream, -CInt(windowBits))
        guard result == Z_OK else { throw WebSocketError(code: .internalError, reason: "inflateInit2: \(result)") }
    }

    deinit {
        inflateEnd(stream)
        stream.deinitialize(count: 1)
        stream.deallocate()
    }

    /// Whether everything taken so far ended exactly where a block ends. Kept from the last call that got anywhere: one
    /// that had nothing to do makes zlib forget it.
    private(set) var isBetweenBlocks = false

    /// Decompresses `input` behind what `output` holds, until all of it is taken and given or `room` is used up.
    ///
    /// - Parameter room: bytes that this call may append; reduced by what was.
    /// - Parameter budget: bytes that may still be produced at all; reduced by what was.
    /// - Returns: the bytes of `input` taken, and whether zlib has nothing more to give for them. It may hold output
    ///   although all input is taken: call again with none.
    /// - Throws: 1007 for broken data, 1009 when the data holds more than the budget.
    mutating func decompress(
        _ input: UnsafeRawBufferPointer, room: inout Int, budget: inout Int, into output: inout ByteBuffer
    ) throws(WebSocketError) -> (taken: Int, isDone: Bool) {
        var taken = 0
        var isDone = true
        repeat {
            // zlib counts in 32 bits.
            let count = min(input.count - taken, 1 << 30)
            // SAFETY: zlib only reads through next_in, and only during this call of `run`.
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: input.baseAddress.map { $0 + taken }?.assumingMemoryBound(to: Bytef.self))
            stream.pointee.avail_in = UInt32(count)
            isDone = try run(room: &room, budget: &budget, into: &output)
            taken += count - Int(stream.pointee.avail_in)
        } while isDone && taken < input.count
        (stream.pointee.next_in, stream.pointee.next_out) = (nil, nil)
        return (taken, isDone)
    }

    /// Runs until zlib has taken all input and given all output, and returns `true`, or until the room is used up.
    private mutating func run(room: inout Int, budget: inout Int, into output: inout ByteBuffer) throws(WebSocketError)
        -> Bool
    {
        var isDone = false
        // Grows with what comes, so that a little input which yields much costs few calls.
        var guess = max(256, Int(stream.pointee.avail_in) * 4)
        while !isDone {
            if budget == 0 {
                try expectNoOutput()
                return true
            }
            if room == 0 { return false }
            let atMost = min(guess, 32_768, room, budget)
            let produced = try output.append(atMost: atMost) { room throws(WebSocketError) -> Int in
                try step(into: room, isDone: &isDone)
            }
            room -= produced
            budget -= produced
            guess = min(guess * 2, 32_768)
        }
        return true
    }

    /// The budget is spent: what input is left may end blocks, but not produce a byte.
    private mutating func expectNoOutput() throws(WebSocketError) {
        var isDone = false
        var byte: UInt8 = 0
        while !isDone {
            let produced = try withUnsafeMutableBytes(of: &byte) { room throws(WebSocketError) -> Int in
                try step(into: room, isDone: &isDone)
            }
            guard produced == 0 else {
                throw WebSocketError(code: .messageTooBig, reason: "decompressed message over its limit")
            }
        }
    }

    private mutating func step(
        into room: UnsafeMutableRawBufferPointer, isDone: inout Bool
    ) throws(WebSocketError) -> Int {
        stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: Bytef.self)
        stream.pointee.avail_out = UInt32(room.count)
        switch inflate(stream, Z_SYNC_FLUSH) {
        case Z_OK:
            isBetweenBlocks = stream.pointee.data_type & 128 != 0
            isDone = stream.pointee.avail_out > 0
        case Z_BUF_ERROR: isDone = stream.pointee.avail_out > 0
        case Z_STREAM_END:
            // A block marked final may end a message or stand inside it (RFC 7692 §7.2.3.5). What follows is read as a
            // new stream that still sees the window, which is what this form of reset keeps.
            inflateResetKeep(stream)
            isBetweenBlocks = true
            isDone = stream.pointee.avail_in == 0
        case Z_MEM_ERROR: throw WebSocketError(code: .internalError, reason: "inflate: no memory")
        default: throw .invalidPayload("broken deflate data (RFC 7692 §7.2.2)")
        }
        return room.count - Int(stream.pointee.avail_out)
    }

    /// Forgets the window and the place in the stream.
    mutating func reset() { inflateReset(stream) }
}

// SAFETY: each stream has exactly one owner, these noncopyable values; zlib keeps no state of its own beside it.
extension Deflater: @unchecked Sendable {}
extension Inflater: @unchecked Sendable {}
