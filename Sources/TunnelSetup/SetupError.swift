public import TunnelAPI
public import TunnelPKI

/// Why a step of setup failed: where, what, and what to do about it. Never holds a secret.
public struct SetupError: Error, Sendable, Equatable, CustomStringConvertible {
    /// On the way from the identity token to the output, the part that failed. More may come in later versions.
    public struct Hop: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public var description: String { rawValue }

        /// The identity provider's token, before it is sent anywhere.
        public static let identityToken = Hop(rawValue: "identity token")
        /// The exchange of the identity token for an API token.
        public static let exchange = Hop(rawValue: "token exchange")
        public static let api = Hop(rawValue: "Tunnels API")
        /// A key or a certificate, ours or one that was found.
        public static let certificate = Hop(rawValue: "certificate")
        /// The folder or the Kubernetes Secret.
        public static let output = Hop(rawValue: "output")
        /// What was asked for does not go together with what is there.
        public static let state = Hop(rawValue: "state")
    }

    public let hop: Hop
    public let reason: String
    public let remedy: String
    /// The API's name for the failed request, where there was one.
    public let requestID: String?
    /// What is wrong with certificates, one by one, where that is the reason.
    public let findings: [Finding]
    /// Trying again later may help, with nothing changed.
    public let isTemporary: Bool
    /// Somebody else has changed the store meanwhile: what was decided upon is no longer so.
    let isOvertaken: Bool

    package init(
        _ hop: Hop, _ reason: String, remedy: String, requestID: String? = nil, findings: [Finding] = [],
        isTemporary: Bool = false, isOvertaken: Bool = false
    ) {
        (self.hop, self.reason, self.remedy, self.requestID) = (hop, reason, remedy, requestID)
        (self.findings, self.isTemporary, self.isOvertaken) = (findings, isTemporary, isOvertaken)
    }

    /// On several lines where there are findings.
    public var description: String {
        let lines = findings.map { "\n  - \($0)" }.joined()
        return "\(hop.rawValue): \(reason)\(lines)\(remedy.isEmpty ? "" : "\n  remedy: \(remedy)")"
    }
}

extension SetupError {
    public init(_ error: APIError) {
        self.init(
            Hop(rawValue: error.hop.rawValue), error.reason, remedy: error.remedy, requestID: error.requestID,
            isTemporary: error.code == .transport || error.code == .rateLimited || error.code == .overloaded)
    }

    public init(_ error: StoreError, at location: String) {
        self.init(
            .output, "\(location): \(error.reason)", remedy: error.remedy,
            isTemporary: error.code == .busy || error.code == .conflict || error.code == .unavailable,
            isOvertaken: error.code == .conflict)
    }

    /// A state that the code excludes, reported instead of trapped.
    static var unreachable: SetupError {
        SetupError(.state, "a step was taken out of its order", remedy: "report this as a bug")
    }

    init(_ error: PKIError, _ what: String, remedy: String) {
        self.init(.certificate, "\(what): \(error.reason)", remedy: remedy)
    }
}
