internal import TunnelIO

/// A file of the service account that Kubernetes mounts into a pod.
struct MountedFile {
    let path: String
    /// A longer one is not what it should be.
    let maxBytes: Int

    /// Reads it as it is now: Kubernetes replaces tokens long before they expire.
    func read() throws(KubernetesError) -> [UInt8] {
        do throws(FileError) { return try FileBytes.read(path, limit: maxBytes) } catch { throw failure(error) }
    }

    /// - Returns: its one line, without white space around it.
    func line() throws(KubernetesError) -> String {
        guard let text = String(validating: try read(), as: UTF8.self) else {
            throw failure(FileError("read", path, "not text"))
        }
        let line = text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed()
        guard !line.isEmpty, line.allSatisfy({ $0.isASCII && !$0.isWhitespace }) else {
            throw failure(FileError("read", path, line.isEmpty ? "empty" : "not one word"))
        }
        return String(line)
    }

    private func failure(_ error: FileError) -> KubernetesError {
        KubernetesError(
            .configuration, error.description,
            remedy: "run in a pod whose service account is mounted (automountServiceAccountToken: true), or name "
                + "another --output")
    }
}
