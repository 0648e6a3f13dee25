/// What the caller of ``Provisioner`` wants.
public struct ProvisioningOptions: Sendable {
    /// The tunnel to attach to; `nil` takes the one in the store, and creates one where there is none.
    public var tunnelID: String?
    /// The name of a tunnel that is created, 1 to 255 characters; `nil` makes one up.
    public var displayName: String?
    /// Another value than the stored one rotates the tunnel token; `nil` leaves it alone.
    public var tokenVersion: String?
    public var serverCertificate: ServerCertificateOptions

    public init(
        tunnelID: String? = nil, displayName: String? = nil, tokenVersion: String? = nil,
        serverCertificate: ServerCertificateOptions = ServerCertificateOptions()
    ) {
        (self.tunnelID, self.displayName, self.tokenVersion) = (tunnelID, displayName, tokenVersion)
        self.serverCertificate = serverCertificate
    }
}
