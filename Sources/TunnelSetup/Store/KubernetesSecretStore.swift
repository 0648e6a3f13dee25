public import TunnelAPI
package import TunnelIO

/// Credentials as keys of a Kubernetes Secret: `--output k8s-secret:NAME`.
///
/// The Secret is made when it is not there. Of one that is there only our keys change; keys, labels and annotations of
/// others stay, and so does its type. A change is one request, so that it is made whole or not at all, and it names the
/// version of the Secret that it was decided upon.
///
/// Its Role needs `get` and `patch` for the Secret, and `create` for Secrets, which Kubernetes cannot limit to a name.
public final class KubernetesSecretStore: CredentialStore, Sendable {
    /// How often a change is tried again because somebody changes other keys of the Secret all the time.
    static let maxAttempts = 8
    static let labels = ["app.kubernetes.io/managed-by": "mcp-tunnel-setup"]

    private let client: KubernetesSecretClient
    public var location: String { "k8s-secret:\(client.name)" }
    /// Kubernetes has no lock: what an earlier run has left may be another run's work.
    public var isExclusive: Bool { false }

    public init(_ client: KubernetesSecretClient) { self.client = client }

    /// A Secret in the namespace of the pod that this process runs in.
    ///
    /// - Parameter environment: the process's variables.
    /// - Throws: ``StoreError`` `.notFound` if this is no pod, `.malformed` if the name is not valid.
    public static func inCluster(
        name: String, environment: [String: String]
    ) throws(StoreError) -> KubernetesSecretStore {
        try inCluster(name: name, environment: environment) { _ in nil }
    }

    /// The same on a loop that somebody runs.
    package static func inCluster(
        name: String, environment: [String: String], loop: Loop
    ) throws(StoreError) -> KubernetesSecretStore {
        try inCluster(name: name, environment: environment) { HTTPSTransport(loop: loop, trust: .pem($0.ca)) }
    }

    private static func inCluster(
        name: String, environment: [String: String], _ transport: (InClusterConfiguration) -> HTTPSTransport?
    ) throws(StoreError) -> KubernetesSecretStore {
        do throws(KubernetesError) {
            let cluster = try InClusterConfiguration(environment: environment)
            return KubernetesSecretStore(
                try KubernetesSecretClient(cluster, name: name, transport: transport(cluster)))
        } catch { throw StoreError(error) }
    }

    public func load() async throws(StoreError) -> StoreContents {
        let secret: KubernetesSecret?
        do throws(KubernetesError) { secret = try await client.read() } catch { throw StoreError(error) }
        guard let secret else { return StoreContents() }
        return try contents(of: secret)
    }

    public func write(_ changes: StoreChanges, over contents: StoreContents) async throws(StoreError) -> StoreContents {
        try changes.checkSizes()
        var revision = contents.revision
        if !changes.hasValues {
            // No Secret is made for nothing.
            let present = try await load()
            try present.checkIsSame(as: contents)
            if changes.isEmpty || present.revision.isEmpty { return present }
            revision = present.revision
        }
        let wanted = contents.applying(changes, revision: "")
        for _ in 0..<Self.maxAttempts {
            let failure: KubernetesError
            switch await send(changes, revision) {
            case .success(let secret): return try self.contents(of: secret)
            case .failure(let error): failure = error
            }
            // It was done, or refused because the Secret has changed, or did not happen: reading the Secret shows which.
            let isOpen = failure.mayHaveBeenActedOn || [.conflict, .alreadyExists, .notFound].contains(failure.code)
            guard isOpen else { throw await explained(failure) }
            let present = try await load()
            if present.isSame(as: wanted) { return present }
            try present.checkIsSame(as: contents)
            // Of the same version it would be refused again.
            guard present.revision != revision else { throw StoreError(failure) }
            revision = present.revision
        }
        throw StoreError(
            .conflict, "secret \(client.name) does not stop changing; nothing was changed",
            remedy: "see who writes there, then try again")
    }

    /// - Parameter revision: empty if there was no Secret.
    private func send(
        _ changes: StoreChanges, _ revision: String
    ) async -> Result<KubernetesSecret, KubernetesError> {
        var data: [String: [UInt8]?] = [:]
        for (key, value) in changes.values { data[key.rawValue] = .some(value) }
        do throws(KubernetesError) {
            if revision.isEmpty {
                return .success(try await client.create(data: data.compactMapValues { $0 }, labels: Self.labels))
            }
            return .success(try await client.patch(data: data, resourceVersion: revision))
        } catch { return .failure(error) }
    }

    private func contents(of secret: KubernetesSecret) throws(StoreError) -> StoreContents {
        var values: [StoreKey: [UInt8]] = [:]
        for key in StoreKey.allCases {
            do throws(KubernetesError) { values[key] = try secret.value(key.rawValue) } catch {
                throw StoreError(error)
            }
            guard values[key]?.count ?? 0 <= StoreContents.maxValueBytes else {
                throw StoreError(
                    .malformed, "\(key) in secret \(client.name) is larger than \(StoreContents.maxValueBytes) bytes",
                    remedy: "put the right value there, or remove it")
            }
        }
        return StoreContents(values, revision: secret.resourceVersion)
    }

    private func explained(_ failure: KubernetesError) async -> StoreError {
        guard failure.code == .invalid, let secret = try? await client.read(), secret.isImmutable else {
            return StoreError(failure)
        }
        return StoreError(
            .denied, "secret \(client.name) is immutable; nothing was changed",
            remedy: "make it anew with the same data and without `immutable: true`, or name another --output")
    }
}

extension StoreError {
    init(_ failure: KubernetesError) {
        let code: Code =
            switch failure.code {
            case .configuration, .notFound: .notFound
            case .unauthenticated, .forbidden: .denied
            case .conflict, .alreadyExists: .conflict
            case .invalid, .invalidName, .malformedResponse: .malformed
            default: .unavailable
            }
        let isOpen = failure.mayHaveBeenActedOn ? "; it may have been carried out all the same" : ""
        self.init(code, failure.reason + isOpen, remedy: failure.remedy)
    }
}
