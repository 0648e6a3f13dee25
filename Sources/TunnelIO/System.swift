internal import Glibc
package import TunnelCore

/// The system's real-time clock, which TunnelCore does not read itself.
package enum SystemClock {
    package static func now() -> UnixTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UnixTime(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }
}

/// Why a file could not be read, in the words that operators know: `open /data/tls.key: permission denied`.
package struct FileError: Error, Equatable, CustomStringConvertible {
    /// `open` or `read`.
    package let operation: String
    package let path: String
    /// For example `permission denied`.
    package let cause: String
    /// Whether there is no such file.
    package let isMissing: Bool

    package init(_ operation: String, _ path: String, _ cause: String, isMissing: Bool = false) {
        (self.operation, self.path, self.cause, self.isMissing) = (operation, path, cause, isMissing)
    }

    package static func == (a: Self, b: Self) -> Bool { a.description == b.description }

    package var description: String { "\(operation) \(path): \(cause)" }
}

/// Reads small files whole.
package enum FileBytes {
    /// Far above any certificate, key, CA bundle or configuration.
    package static let maxSize = 4 << 20

    /// Blocks while it reads.
    ///
    /// - Parameter limit: bytes; a larger file is refused.
    package static func read(_ path: String, limit: Int = maxSize) throws(FileError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let code = errno
            throw FileError("open", path, IOError.text(of: code), isMissing: code == ENOENT)
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: min(limit, 64 * 1024) + 1)
        // It may be a key: of a small file no copy but the caller's is left in memory.
        bytes.reserveCapacity(chunk.count)
        defer {
            chunk.withUnsafeMutableBytes { room in
                if let start = room.baseAddress { explicit_bzero(start, room.count) }
            }
        }
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError("read", path, IOError.text(of: errno))
            }
            bytes.append(contentsOf: chunk[..<count])
            if bytes.count > limit { throw FileError("read", path, "larger than \(limit) bytes") }
        }
    }
}
