public import TunnelAPI
public import TunnelPKI

/// What a run of ``Provisioner`` did. Holds no secret.
public struct ProvisioningResult: Sendable {
    public enum TunnelAction: String, Sendable {
        /// The stored tunnel.
        case reused
        /// A tunnel that existed and was not in the store.
        case attached
        case created
        /// A tunnel that an earlier run created and could not write down.
        case recovered
    }
    public enum AuthorityAction: String, Sendable {
        /// The stored CA was registered already.
        case reused
        /// A CA that was there, in the store or from an earlier run, is registered now.
        case registered
        /// A new CA was made and registered.
        case generated
    }
    public enum TokenAction: String, Sendable {
        case kept
        case revealed
        case rotated
    }
    public enum ServerCertificateAction: String, Sendable {
        case kept
        case issued
    }

    public let tunnel: Tunnel
    public let tunnelAction: TunnelAction
    public let authority: Certificate
    /// The API's name for the registered CA.
    public let authorityID: String
    public let authorityAction: AuthorityAction
    public let tokenAction: TokenAction
    /// The version that is stored now; `nil` if none ever was.
    public let tokenVersion: String?
    public let serverCertificate: Certificate
    public let serverCertificateAction: ServerCertificateAction
    public let generation: APIGeneration
    /// Whether anything was written.
    public var isChanged: Bool {
        tunnelAction != .reused || authorityAction != .reused || tokenAction != .kept
            || serverCertificateAction != .kept || isVersionRecorded
    }
    /// Whether a token version was stored that was not there before.
    let isVersionRecorded: Bool
}
