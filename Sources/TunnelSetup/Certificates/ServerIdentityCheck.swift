internal import TunnelPKI

/// Whether the server certificate of a store can stay in use.
enum ServerIdentityCheck {
    /// Everything that is wrong with the pair in `contents`, seen with the CA and the domain that it shall serve; `nil`
    /// if there is no pair at all.
    static func findings(
        _ contents: StoreContents, authority: [UInt8], domain: String, requirements: CertificateRequirements
    ) -> [Finding]? {
        guard let certificate = contents[.serverCertificate], let key = contents[.serverKey] else { return nil }
        return requirements.checkServer(file: certificate, caFile: authority, tunnelDomain: domain)
            + requirements.checkKey(file: key, certificateFile: certificate)
    }

    /// The kind of key that the present pair has, if setup could have made it.
    static func keyType(_ contents: StoreContents) -> KeyType? {
        guard let file = contents[.serverCertificate], let certificate = try? Certificate.all(pem: file).first else {
            return nil
        }
        switch certificate.keyAlgorithm {
        case .rsa(bits: 2048): return .rsa2048
        case .rsa(bits: 3072): return .rsa3072
        case .rsa(bits: 4096): return .rsa4096
        case .ecdsa(curve: "P-256"): return .ecdsaP256
        case .ecdsa(curve: "P-384"): return .ecdsaP384
        default: return nil
        }
    }
}
