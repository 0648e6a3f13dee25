public import TunnelPKI

/// How a new server certificate shall be.
public struct ServerCertificateOptions: Sendable {
    /// 90 days (`2160h`): how long a certificate is valid unless told otherwise.
    public static let defaultValidity = CertificateAuthority.defaultServerValidity

    /// From now to the end; a certificate never outlives its CA.
    public var validity: Duration
    /// `nil` keeps the kind of the key that is there, and makes RSA 4096 where there is none.
    public var keyType: KeyType?

    public init(validity: Duration = defaultValidity, keyType: KeyType? = nil) {
        (self.validity, self.keyType) = (validity, keyType)
    }

    func keyType(replacing contents: StoreContents) -> KeyType {
        keyType ?? ServerIdentityCheck.keyType(contents) ?? .rsa4096
    }
}
