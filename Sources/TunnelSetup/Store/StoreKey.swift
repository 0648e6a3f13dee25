/// The values that setup keeps. The raw value is the name of the file in a folder, and of the key in a Kubernetes
/// Secret; the documents of the product name them, except for the last one, which is ours.
public enum StoreKey: String, Sendable, CaseIterable, CustomStringConvertible {
    case tunnelID = "tunnel-id"
    case tunnelDomain = "tunnel-domain"
    case tunnelToken = "tunnel-token"
    case tokenVersion = "token-version"
    case authorityCertificate = "ca.crt"
    case authorityKey = "ca.key"
    case serverCertificate = "tls.crt"
    case serverKey = "tls.key"
    /// Work that was begun and is not finished, in JSON. There only meanwhile.
    case setupState = "setup-state.json"

    /// Whether only the owner may read it (mode 0600).
    public var isSecret: Bool {
        switch self {
        case .tunnelToken, .authorityKey, .serverKey, .setupState: true
        case .tunnelID, .tunnelDomain, .tokenVersion, .authorityCertificate, .serverCertificate: false
        }
    }

    public var description: String { rawValue }
}
