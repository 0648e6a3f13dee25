internal import COpenSSL

/// Owns one `EVP_PKEY *` that holds a private key.
final class PrivateKey: Sendable {
    // SAFETY: OpenSSL counts references atomically and locks inside; nothing here changes the key.
    nonisolated(unsafe) let pointer: OpaquePointer

    /// Takes over the caller's reference.
    init(owning pointer: OpaquePointer) { self.pointer = pointer }

    deinit { EVP_PKEY_free(pointer) }

    /// `RSA`, `P-256`, `P-384`, `P-521`, `ED25519`, or OpenSSL's name for something rarer.
    var type: String {
        let family = EVP_PKEY_get0_type_name(pointer).map { String(cString: $0) } ?? "unknown"
        guard family == "EC" else { return family }
        let curve = String(unsafeUninitializedCapacity: 64) { room in
            room.withMemoryRebound(to: CChar.self) { name in
                var count = 0
                return EVP_PKEY_get_group_name(pointer, name.baseAddress, name.count, &count) == 1 ? count : 0
            }
        }
        switch curve {
        case "prime256v1": return "P-256"
        case "secp384r1": return "P-384"
        case "secp521r1": return "P-521"
        default: return curve.isEmpty ? family : curve
        }
    }

    /// The size that people quote: modulus or field, in bits.
    var bits: Int { Int(EVP_PKEY_get_bits(pointer)) }
}
