internal import Glibc
internal import TunnelIO

/// Why a file could not be read, in the words that operators know: `open /data/tls.key: permission denied`.
package struct FileError: Error, Equatable, CustomStringConvertible {
    package let description: String
}

/// Reads small files whole.
package enum FileBytes {
    /// Far above any certificate, key, CA bundle or configuration.
    static let maxSize = 4 << 20

    package static func read(_ path: String) throws(FileError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(description: "open \(path): \(IOError.text(of: errno))") }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError(description: "read \(path): \(IOError.text(of: errno))")
            }
            bytes.append(contentsOf: chunk[..<count])
            if bytes.count > maxSize { throw FileError(description: "read \(path): larger than \(maxSize) bytes") }
        }
    }
}
