internal import Synchronization
package import TunnelCore
internal import TunnelIO

/// A client of the Tunnels API (Anthropic's MCP tunnels) in both generations.
///
/// It exchanges the workload's identity for an access token when one is needed, keeps that in memory until shortly
/// before it expires, and gets another one, once for each call, when the API refuses it. What fails for a passing reason
/// is sent again as ``createTunnel(displayName:)`` and the others say. Each operation is over within three minutes.
public final class TunnelsClient: Sendable {
    /// The limit of the API, "8 kB".
    public static let maxCertificateBytes = 8192
    /// In characters (Unicode scalars).
    public static let maxDisplayNameLength = 255
    /// For one operation with all its attempts, waits and pages.
    static let operationSeconds: Int64 = 180
    /// For one request.
    static let requestTimeout = Duration.seconds(60)
    static let maxResponseBytes = 1 << 20
    /// An access token is not used in the last seconds of its life, in which it might expire on the way.
    static let expiryMarginSeconds: Int64 = 30

    let service: ServiceURL
    let credential: APICredential
    private let chosenGeneration: APIGeneration?
    let transport: any HTTPTransport
    let now: @Sendable () -> UnixTime
    private let current = Mutex<Access?>(nil)

    /// - Parameters:
    ///   - service: the API's base address, also that of the token endpoint.
    ///   - generation: overrides what follows from the credential: by the scope that the exchange grants (none named:
    ///     the first), and the second for a Tunnels API key, because those exist only since then.
    public convenience init(
        service: ServiceURL, credential: APICredential, generation: APIGeneration? = nil, transport: any HTTPTransport
    ) {
        self.init(
            service: service, credential: credential, generation: generation, transport: transport,
            now: SystemClock.now)
    }

    package init(
        service: ServiceURL, credential: APICredential, generation: APIGeneration? = nil,
        transport: any HTTPTransport, now: @escaping @Sendable () -> UnixTime
    ) {
        (self.service, self.credential, chosenGeneration) = (service, credential, generation)
        (self.transport, self.now) = (transport, now)
    }

    /// What opens the API for now.
    struct Access: Sendable {
        let token: Secret
        let generation: APIGeneration
        /// `nil` if nothing says when.
        let expiresAt: UnixTime?
        let isExchanged: Bool
    }

    /// Exchanges the identity for an access token unless a valid one is there. With a key it sends nothing.
    ///
    /// - Returns: the generation in force.
    /// - Throws: ``APIError`` of the hops `.identityToken` and `.exchange`.
    public func authenticate() async throws(APIError) -> APIGeneration {
        try await access(for: "authenticate", delivery()).generation
    }

    /// For one operation.
    func delivery() -> Delivery {
        Delivery(transport: transport, now: now, deadline: now().adding(seconds: Self.operationSeconds))
    }

    func access(for operation: String, _ delivery: Delivery) async throws(APIError) -> Access {
        switch credential {
        case .token(let token):
            guard isBearerToken(token.reveal()) else {
                throw APIError(
                    .api, operation, .invalidArgument, "the Tunnels API key is empty or holds what no header can",
                    remedy: "give the key as it was shown, without spaces")
            }
            return Access(
                token: token, generation: chosenGeneration ?? .second, expiresAt: nil, isExchanged: false)
        case .workloadIdentity(let identity):
            if let access = current.withLock({ $0 }), isFresh(access) { return access }
            let exchange = TokenExchange(service: service, identity: identity)
            let token = try await exchange.accessToken(for: operation, delivery)
            let access = Access(
                token: token.value, generation: chosenGeneration ?? APIGeneration(scopes: token.scopes),
                expiresAt: token.lifetime.map { now().adding(seconds: $0) }, isExchanged: true)
            current.withLock { $0 = access }
            return access
        }
    }

    private func isFresh(_ access: Access) -> Bool {
        guard let expiresAt = access.expiresAt else { return true }
        return now().adding(seconds: Self.expiryMarginSeconds).seconds < expiresAt.seconds
    }

    /// Forgets a token that was refused, unless another one has taken its place meanwhile.
    func discard(_ access: Access) {
        current.withLock { current in
            if current?.token.reveal() == access.token.reveal() { current = nil }
        }
    }
}
