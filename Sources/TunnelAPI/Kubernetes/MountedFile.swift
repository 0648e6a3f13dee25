internal import Glibc
internal import TunnelCore
internal import TunnelIO

/// A file of the service account that Kubernetes mounts into a pod.
struct MountedFile {
    let path: String
    /// A longer one is not what it should be.
    let maxBytes: Int

    /// Reads it as it is now: Kubernetes replaces tokens long before they expire.
    func read() throws(KubernetesError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw failure("open", IOError.text(of: errno)) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("read", IOError.text(of: errno))
            }
            bytes.append(contentsOf: chunk[..<count])
            guard bytes.count <= maxBytes else { throw failure("read", "larger than \(maxBytes) bytes") }
        }
    }

    /// - Returns: its one line, without white space around it.
    func line() throws(KubernetesError) -> String {
        guard let text = String(validating: try read(), as: UTF8.self) else { throw failure("read", "not text") }
        let line = text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed()
        guard !line.isEmpty, line.allSatisfy({ $0.isASCII && !$0.isWhitespace }) else {
            throw failure("read", line.isEmpty ? "empty" : "not one word")
        }
        return String(line)
    }

    private func failure(_ operation: String, _ text: String) -> KubernetesError {
        KubernetesError(
            .configuration, "\(operation) \(path): \(text)",
            remedy: "run in a pod whose service account is mounted (automountServiceAccountToken: true), or name "
                + "another --output")
    }
}
