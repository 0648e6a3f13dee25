public import TunnelCore
internal import TunnelIO

/// How a pod reaches its cluster's API: the variables that Kubernetes sets, and the folder that it mounts.
///
/// Source: Kubernetes documentation, "Accessing the Kubernetes API from a Pod".
public struct InClusterConfiguration: Sendable {
    /// Where Kubernetes mounts token, `ca.crt` and namespace.
    public static let serviceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount"
    static let maxTokenBytes = 64 * 1024
    static let maxCABytes = 1 << 20
    static let maxNamespaceBytes = 256

    /// The API server, from `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`.
    public let service: ServiceURL
    /// The pod's own.
    public let namespace: String
    /// Whom the API server's certificate comes from: a bundle in PEM, to be trusted for this connection alone.
    public let ca: [UInt8]
    public let credential: KubernetesCredential

    /// Whether this is a pod that can reach its cluster's API.
    ///
    /// - Parameters:
    ///   - environment: the process's variables.
    ///   - folder: another place than ``serviceAccountFolder``, for tests.
    public static func isPresent(environment: [String: String], folder: String = serviceAccountFolder) -> Bool {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty else { return false }
        return (try? MountedFile(path: "\(folder)/token", maxBytes: maxTokenBytes).read()) != nil
    }

    /// Reads what does not change while the pod lives. Blocks while three small files are read.
    ///
    /// - Parameters: as of ``isPresent(environment:folder:)``.
    /// - Throws: `.configuration`, with the variable or the file that is missing or wrong.
    public init(
        environment: [String: String], folder: String = serviceAccountFolder
    ) throws(KubernetesError) {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty else {
            throw Self.wrong("KUBERNETES_SERVICE_HOST is not set: this is no Kubernetes pod")
        }
        let port = environment["KUBERNETES_SERVICE_PORT"].flatMap { $0.isEmpty ? nil : $0 } ?? "443"
        let name = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
        do throws(ServiceURLError) { service = try ServiceURL("https://\(name):\(port)") } catch {
            throw Self.wrong("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are no address: it \(error)")
        }
        guard service.prefix.isEmpty else { throw Self.wrong("KUBERNETES_SERVICE_PORT is no port") }
        ca = try MountedFile(path: "\(folder)/ca.crt", maxBytes: Self.maxCABytes).read()
        namespace = try MountedFile(path: "\(folder)/namespace", maxBytes: Self.maxNamespaceBytes).line()
        credential = .tokenFile("\(folder)/token")
        _ = try credential.token()
    }

    private static func wrong(_ reason: String) -> KubernetesError {
        KubernetesError(.configuration, reason, remedy: "run in a pod, or name another --output")
    }
}

/// What proves to the Kubernetes API who we are.
@nonexhaustive
public enum KubernetesCredential: Sendable {
    /// A file with a token. It is read again for every request, because tokens are replaced while the pod lives.
    case tokenFile(String)
    case token(Secret)

    func token() throws(KubernetesError) -> Secret {
        switch self {
        case .token(let token): token
        case .tokenFile(let path):
            Secret(try MountedFile(path: path, maxBytes: InClusterConfiguration.maxTokenBytes).line())
        }
    }
}

/// A file of the service account that Kubernetes mounts into a pod.
package struct MountedFile {
    let path: String
    /// A longer one is not what it should be.
    let maxBytes: Int

    /// Reads it as it is now: Kubernetes replaces tokens long before they expire.
    func read() throws(KubernetesError) -> [UInt8] {
        do throws(FileError) { return try FileBytes.read(path, limit: maxBytes) } catch { throw failure(error) }
    }

    /// - Returns: its one line, without white space around it.
    func line() throws(KubernetesError) -> String {
        switch MountedFile.line(in: try read()) {
        case .success(let line): return line
        case .failure(let problem): throw failure(FileError("read", path, problem.text))
        }
    }

    package struct Problem: Error { package let text: String }

    /// The one word in the content of a file.
    package static func line(in bytes: [UInt8]) -> Result<String, Problem> {
        guard let text = String(validating: bytes, as: UTF8.self) else { return .failure(Problem(text: "not text")) }
        let line = text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed()
        guard !line.isEmpty, line.allSatisfy({ $0.isASCII && !$0.isWhitespace }) else {
            return .failure(Problem(text: line.isEmpty ? "empty" : "not one word"))
        }
        return .success(String(line))
    }

    private func failure(_ error: FileError) -> KubernetesError {
        KubernetesError(
            .configuration, error.description,
            remedy: "run in a pod whose service account is mounted (automountServiceAccountToken: true), or name "
                + "another --output")
    }
}
