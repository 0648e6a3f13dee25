import CZlib

/// Compression as gzip does it (RFC 1952).
enum Gzip {
    struct Failure: Error, CustomStringConvertible {
        let code: CInt
        var description: String { "zlib: deflate failed with \(code)" }
    }

    static func compress(_ input: [UInt8]) throws(Failure) -> [UInt8] {
        var stream = z_stream()
        // 15 bits of window, and 16 for gzip's head and tail in place of zlib's.
        var result = CZlib_deflateInit2(&stream, 9, 15 + 16, 8, Z_DEFAULT_STRATEGY)
        guard result == Z_OK else { throw Failure(code: result) }
        defer { deflateEnd(&stream) }
        var input = input
        let bound = Int(deflateBound(&stream, UInt(input.count)))
        // SAFETY: zlib reads `input` and writes `room` during this call alone, within the counts that it is given; with
        // `deflateBound` bytes of room one call takes everything (zlib.h).
        let output = [UInt8](unsafeUninitializedCapacity: bound) { room, count in
            input.withUnsafeMutableBufferPointer { input in
                (stream.next_in, stream.avail_in) = (input.baseAddress, UInt32(clamping: input.count))
                (stream.next_out, stream.avail_out) = (room.baseAddress, UInt32(clamping: room.count))
                result = deflate(&stream, Z_FINISH)
                count = room.count - Int(stream.avail_out)
            }
        }
        guard result == Z_STREAM_END else { throw Failure(code: result) }
        return output
    }
}
