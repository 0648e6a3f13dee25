internal import TunnelCore
internal import TunnelIO

/// One Secret of a Kubernetes cluster, through the cluster's API.
///
/// Requests that the server answers with 429 or 5xx, and those that no response comes to, are sent again, four times at
/// most. A change may then be refused because an earlier attempt was successful: whoever gets ``KubernetesError``
/// `.conflict`, `.alreadyExists`, or one that may have been acted on, reads again to find out.
public final class KubernetesSecretClient: Sendable {
    /// A Secret holds 1 MiB, which base64 and the list of who manages what make longer.
    static let maxResponseBytes = 4 << 20
    static let timeout = Duration.seconds(30)
    static let maxRetries = 4
    /// A server that asks for more patience is given up.
    static let longestWait = Duration.seconds(30)

    public let namespace: String
    public let name: String
    private let service: ServiceURL
    private let credential: KubernetesCredential
    private let transport: any HTTPTransport

    /// Whether `text` can be the name of a Secret: a DNS subdomain (RFC 1123) of at most 253 characters.
    public static func isValidName(_ text: String) -> Bool {
        text.utf8.count <= 253 && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy(isLabel)
    }

    private static func isLabel(_ text: some StringProtocol) -> Bool {
        let isAlphanumeric = { (byte: UInt8) in (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) }
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last else { return false }
        return isAlphanumeric(first) && isAlphanumeric(last)
            && bytes.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }

    /// - Parameter transport: has to trust the cluster's CA.
    /// - Throws: `.invalidName`.
    public init(
        service: ServiceURL, namespace: String, name: String, credential: KubernetesCredential,
        transport: any HTTPTransport
    ) throws(KubernetesError) {
        guard Self.isValidName(name) else {
            throw KubernetesError(
                .invalidName, "\(quotedText(name)) is no name of a Secret",
                remedy: "use at most 253 lower-case letters, digits, '-' and '.', with a letter or digit at both ends")
        }
        guard namespace.utf8.count <= 63, Self.isLabel(namespace) else {
            throw KubernetesError(
                .invalidName, "\(quotedText(namespace)) is no name of a namespace",
                remedy: "use at most 63 lower-case letters, digits and '-', with a letter or digit at both ends")
        }
        (self.service, self.namespace, self.name) = (service, namespace, name)
        (self.credential, self.transport) = (credential, transport)
    }

    /// A Secret in the pod's own namespace.
    ///
    /// - Parameter transport: has to trust ``InClusterConfiguration/ca``; `nil` makes one that does.
    /// - Throws: `.invalidName`, or `.configuration` when no transport can be made.
    public convenience init(
        _ cluster: InClusterConfiguration, name: String, transport: (any HTTPTransport)? = nil
    ) throws(KubernetesError) {
        let carrier: any HTTPTransport
        if let transport {
            carrier = transport
        } else {
            do throws(TransportError) { carrier = try HTTPSTransport(trust: .pem(cluster.ca)) } catch {
                throw KubernetesError(.configuration, error.reason, remedy: "raise the limits of the process")
            }
        }
        try self.init(
            service: cluster.service, namespace: cluster.namespace, name: name, credential: cluster.credential,
            transport: carrier)
    }

    private var collection: String { "/api/v1/namespaces/\(namespace)/secrets" }
    /// Who changed what, in the object's `managedFields`.
    private static let manager = "?fieldManager=mcp-tunnel-setup"

    /// - Returns: `nil` if there is no such Secret.
    /// - Throws: ``KubernetesError``.
    public func read() async throws(KubernetesError) -> KubernetesSecret? {
        do throws(KubernetesError) { return try await send(.get, "GET", "/\(name)") } catch {
            guard error.code == .notFound else { throw error }
            return nil
        }
    }

    /// Makes the Secret, of type `Opaque`.
    ///
    /// - Throws: ``KubernetesError`` `.alreadyExists` if there is one, and others.
    public func create(
        data: [String: [UInt8]], labels: [String: String] = [:]
    ) async throws(KubernetesError) -> KubernetesSecret {
        let body = KubernetesBody.creation(name: name, namespace: namespace, labels: labels, data: data)
        return try await send(
            .create, "POST", Self.manager, "application/json", body, hiding: Array(data.values))
    }

    /// Sets some values and removes others; everything else of the Secret stays as it is.
    ///
    /// - Parameters:
    ///   - data: `nil` removes.
    ///   - resourceVersion: what the Secret must still be.
    /// - Throws: ``KubernetesError`` `.conflict` if it is not, `.notFound` if there is no such Secret, and others.
    public func patch(
        data: [String: [UInt8]?], resourceVersion: String
    ) async throws(KubernetesError) -> KubernetesSecret {
        let body = KubernetesBody.patch(data: data, resourceVersion: resourceVersion)
        return try await send(
            .patch, "PATCH", "/\(name)\(Self.manager)", "application/merge-patch+json", body,
            hiding: data.values.compactMap { $0 })
    }

    private struct Call {
        let operation: KubernetesOperation
        var request: HTTPRequest
        /// What no error may show.
        let values: [[UInt8]]
    }

    private func send(
        _ verb: KubernetesOperation.Verb, _ method: String, _ target: String, _ type: String? = nil,
        _ body: [UInt8]? = nil, hiding values: [[UInt8]] = []
    ) async throws(KubernetesError) -> KubernetesSecret {
        var call = Call(
            operation: KubernetesOperation(verb: verb, name: name, namespace: namespace),
            request: HTTPRequest(
                method, service, collection + target, body: body, timeout: Self.timeout,
                maxResponseBytes: Self.maxResponseBytes, isRepeatable: verb == .get),
            values: values)
        call.request.fields = [HTTPField("Accept", "application/json")]
        if let type { call.request.fields.append(HTTPField("Content-Type", type)) }

        var retries = 0
        var isOpen = false
        while true {
            do throws(FailedAttempt) { return try await attempt(call, retries: retries) } catch {
                var failure = error.error
                isOpen = isOpen || failure.mayHaveBeenActedOn
                failure.mayHaveBeenActedOn = isOpen
                guard let wait = error.repeatAfter, retries < Self.maxRetries else { throw failure }
                if wait > .zero { await transport.pause(wait) }
                retries += 1
            }
        }
    }

    private struct FailedAttempt: Error {
        let error: KubernetesError
        /// `nil` if another attempt would end the same way.
        let repeatAfter: Duration?
    }

    private func attempt(_ call: Call, retries: Int) async throws(FailedAttempt) -> KubernetesSecret {
        var request = call.request
        let token: Secret, response: HTTPResponse
        do throws(KubernetesError) { token = try credential.token() } catch {
            throw FailedAttempt(error: error, repeatAfter: nil)
        }
        request.bearerToken = token
        let backoff = RetryPolicy.backoff(retries: retries, jitter: .random(in: 0..<1))
        do throws(TransportError) { response = try await transport.send(request) } catch {
            let isTemporary = [.nameNotFound, .connect, .timedOut, .closed].contains(error.code)
            throw FailedAttempt(error: call.operation.failure(error), repeatAfter: isTemporary ? backoff : nil)
        }
        if (200..<300).contains(response.status) {
            do throws(MalformedSecret) {
                return try KubernetesSecret(response.body, named: name, in: namespace)
            } catch {
                throw FailedAttempt(error: call.operation.failure(error, response), repeatAfter: nil)
            }
        }
        let refusal = call.operation.refusal(response, hiding: Self.secrets(token, call.values))
        switch response.status {
        case 401:
            // It may have been replaced between the reading and the sending.
            let fresh = try? credential.token()
            throw FailedAttempt(error: refusal, repeatAfter: fresh?.reveal() == token.reveal() ? nil : .zero)
        case 429, 500...:
            let wait = RetryPolicy.requestedWait(response, now: SystemClock.now()) ?? backoff
            throw FailedAttempt(error: refusal, repeatAfter: wait > Self.longestWait ? nil : wait)
        default:
            throw FailedAttempt(error: refusal, repeatAfter: nil)
        }
    }

    /// What is shorter would also be found where it does not stand for itself.
    private static let shortestSecret = 16

    private static func secrets(_ token: Secret, _ values: [[UInt8]]) -> [Secret] {
        let texts = values.flatMap { [String(decoding: $0, as: UTF8.self), KubernetesBody.base64($0)] }
        return [token] + texts.filter { $0.utf8.count >= shortestSecret }.map(Secret.init)
    }
}
