public import TunnelAPI
public import TunnelPKI

/// What the caller of ``Provisioner`` wants.
public struct ProvisioningOptions: Sendable {
    /// The tunnel to attach to; `nil` takes the one in the store, or that of the domain which the certificates there are
    /// for, and creates one where there is neither.
    public var tunnelID: String?
    /// The name of a tunnel that is created, 1 to 255 characters; `nil` makes one up.
    public var displayName: String?
    /// Another value than the stored one, of 1 to 255 characters, rotates the tunnel token; `nil` leaves it alone.
    public var tokenVersion: String?
    public var serverCertificate: ServerCertificateOptions
    /// Puts the token in force in the place of a stored one that is another, because somebody has rotated it elsewhere.
    public var refreshesToken = false
    /// Lets go of the CA that was set aside when the store came to belong to another tunnel.
    public var dropsOldCA = false

    public init(
        tunnelID: String? = nil, displayName: String? = nil, tokenVersion: String? = nil,
        serverCertificate: ServerCertificateOptions = ServerCertificateOptions()
    ) {
        (self.tunnelID, self.displayName, self.tokenVersion) = (tunnelID, displayName, tokenVersion)
        self.serverCertificate = serverCertificate
    }

    /// Longer than any version and any name that the API takes.
    static let maxTextCharacters = 255

    /// - Throws: for a text that would not come back from the store or the API as it is here. A version would differ
    ///   each time then, and each run rotate the token; a tunnel would not be found again by its name.
    func check() throws(SetupError) {
        for (text, what) in [(tokenVersion, "token version"), (displayName, "display name")] {
            guard let text else { continue }
            let isPlain = text.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
            let hasEdges = text.first?.isWhitespace ?? true || text.last?.isWhitespace ?? true
            guard isPlain, !hasEdges, text.unicodeScalars.count <= Self.maxTextCharacters else {
                throw SetupError(
                    .state, "the \(what) is empty, too long, or has white space around it or control characters",
                    remedy: "give one of 1 to \(Self.maxTextCharacters) characters")
            }
        }
    }
}

/// What a run of ``Provisioner`` did. Holds no secret.
public struct ProvisioningResult: Sendable {
    @nonexhaustive
    public enum TunnelAction: String, Sendable {
        /// The stored tunnel.
        case reused
        /// A tunnel that existed and was not in the store.
        case attached
        case created
        /// A tunnel that an earlier run created and could not write down.
        case recovered
    }
    @nonexhaustive
    public enum CAAction: String, Sendable {
        /// The stored CA was registered already.
        case reused
        /// A CA that was there, in the store or from an earlier run, is registered now.
        case registered
        /// A new CA was made and registered.
        case generated
    }
    @nonexhaustive
    public enum TokenAction: String, Sendable {
        case kept
        case revealed
        case rotated
    }
    @nonexhaustive
    public enum ServerCertificateAction: String, Sendable {
        case kept
        case issued
    }

    public let tunnel: Tunnel
    public let tunnelAction: TunnelAction
    public let ca: Certificate
    /// The API's name for the registered CA.
    public let caID: String
    public let caAction: CAAction
    public let tokenAction: TokenAction
    /// The version that is stored now; `nil` if none ever was.
    public let tokenVersion: String?
    /// Whether the stored token is the one in force; `nil` where that could not be asked.
    public let isTokenCurrent: Bool?
    public let serverCertificate: Certificate
    public let serverCertificateAction: ServerCertificateAction
    public let ticketKeys: TicketKeysAction
    public let generation: APIGeneration
    /// Whether anything was written.
    public var isChanged: Bool {
        tunnelAction != .reused || caAction != .reused || tokenAction != .kept
            || serverCertificateAction != .kept || ticketKeys != .kept || isVersionRecorded || isOldCADropped
    }
    /// Whether a token version was stored that was not there before.
    let isVersionRecorded: Bool
    let isOldCADropped: Bool
}
