import Glibc
import TunnelCore
import TunnelPKI
import TunnelSetup

/// Reads a file that the command line names, whole and within bounds.
enum InputFile {
    static let maxBytes = StoreContents.maxValueBytes

    static func read(_ path: String) throws(SetupError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable("open", path) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw .unreadable("read", path)
            }
            bytes += chunk[..<count]
            guard bytes.count <= maxBytes else { throw .tooLarge(path, maxBytes) }
        }
    }
}

extension SetupError {
    fileprivate static func unreadable(_ operation: String, _ path: String) -> SetupError {
        let reason = strerror(errno).map { String(cString: $0).lowercased() } ?? "error \(errno)"
        return SetupError(.certificate, "\(operation) \(path): \(reason)", remedy: "name a PEM file that can be read")
    }

    fileprivate static func tooLarge(_ path: String, _ limit: Int) -> SetupError {
        SetupError(.certificate, "\(path) has more than \(limit) bytes", remedy: "name one certificate or key in PEM")
    }

    static func unfit(_ path: String, _ findings: [Finding]) -> SetupError {
        SetupError(
            .certificate, "\(path) cannot be registered as a CA", remedy: "mend what is listed, and try again",
            findings: findings)
    }
}
