internal import COpenSSL

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
