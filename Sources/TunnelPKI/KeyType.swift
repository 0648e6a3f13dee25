internal import COpenSSL

/// The kinds of key this library makes. The raw value is how `--key-type` spells it.
@nonexhaustive
public enum KeyType: String, Sendable, CaseIterable {
    case rsa2048 = "rsa-2048"
    case rsa3072 = "rsa-3072"
    case rsa4096 = "rsa-4096"
    case ecdsaP256 = "ecdsa-p256"
    case ecdsaP384 = "ecdsa-p384"
}

/// What a key that was read turned out to be: also the ones we would never make.
@nonexhaustive
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

extension KeyAlgorithm {
    /// Names the algorithm of an `EVP_PKEY *`, which stays the caller's.
    init(borrowing key: OpaquePointer) {
        switch EVP_PKEY_get_base_id(key) {
        case EVP_PKEY_RSA: self = .rsa(bits: Int(EVP_PKEY_get_bits(key)))
        case EVP_PKEY_EC: self = .ecdsa(curve: Self.curve(of: key))
        case let id: self = .other(OBJ_nid2sn(id).map { String(cString: $0) } ?? "unknown")
        }
    }

    private static func curve(of key: OpaquePointer) -> String {
        // OpenSSL recognises a known curve in its numbers, but a TLS peer need not, and RFC 5480 §2.1.1 forbids them.
        var isExplicit: Int32 = 0
        if EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &isExplicit) == 1,
            isExplicit != 0
        {
            return "explicit parameters"
        }
        var length = 0
        let name = String(unsafeUninitializedCapacity: 80) { buffer in
            buffer.withMemoryRebound(to: CChar.self) {
                EVP_PKEY_get_group_name(key, $0.baseAddress, $0.count, &length) == 1 ? length : 0
            }
        }
        return switch name {
        case "prime256v1", "P-256": "P-256"
        case "secp384r1", "P-384": "P-384"
        case "secp521r1", "P-521": "P-521"
        case "": "explicit parameters"
        default: name
        }
    }
}
