/// The kinds of key this library makes. The raw value is how `--key-type` spells it.
public enum KeyType: String, Sendable, CaseIterable {
    case rsa2048 = "rsa-2048"
    case rsa3072 = "rsa-3072"
    case rsa4096 = "rsa-4096"
    case ecdsaP256 = "ecdsa-p256"
    case ecdsaP384 = "ecdsa-p384"
}

/// What a key that was read turned out to be: also the ones we would never make.
public enum KeyAlgorithm: Hashable, Sendable, CustomStringConvertible {
    case rsa(bits: Int)
    /// `curve` is `P-256`, `P-384` or `P-521`, else OpenSSL's name of the curve, or `explicit parameters`.
    case ecdsa(curve: String)
    /// Anything else, for example `ED25519`.
    case other(String)

    public var description: String {
        switch self {
        case .rsa(let bits): "RSA \(bits)"
        case .ecdsa(let curve): "ECDSA \(curve)"
        case .other(let name): name
        }
    }

    var isRSA: Bool {
        if case .rsa = self { true } else { false }
    }
}
