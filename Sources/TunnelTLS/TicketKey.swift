internal import COpenSSL

/// One key that seals session tickets: a public name, an AES-256 key and an HMAC-SHA-256 key (RFC 5077 §4).
///
/// Random when made, wiped when freed.
final class TicketKey: Sendable {
    static let nameSize = 16
    private static let keySize = 32
    private static let size = nameSize + 2 * keySize

    // SAFETY: written only in init, before the value is shared; freed when nobody holds it any more.
    nonisolated(unsafe) private let bytes: UnsafeMutableRawPointer

    init() throws(TLSError) {
        bytes = .allocate(byteCount: Self.size, alignment: 16)
        ERR_clear_error()
        guard RAND_priv_bytes(bytes, CInt(Self.size)) == 1 else { throw .fromQueue("make ticket key") }
    }

    deinit {
        OPENSSL_cleanse(bytes, Self.size)
        bytes.deallocate()
    }

    /// Whether a ticket that carries `name` (`nameSize` bytes) was sealed with this key.
    func isNamed(_ name: UnsafePointer<UInt8>) -> Bool { CRYPTO_memcmp(name, bytes, Self.nameSize) == 0 }

    /// Writes the name and a fresh initialisation vector, and sets both contexts up to seal a ticket.
    func seal(
        name: UnsafeMutablePointer<UInt8>, iv: UnsafeMutablePointer<UInt8>, cipher: OpaquePointer, mac: OpaquePointer
    ) -> Bool {
        UnsafeMutableRawPointer(name).copyMemory(from: bytes, byteCount: Self.nameSize)
        return RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1
            && EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nil, encryptionKey, iv) == 1 && setUp(mac)
    }

    /// Sets both contexts up to open a ticket.
    func open(iv: UnsafePointer<UInt8>, cipher: OpaquePointer, mac: OpaquePointer) -> Bool {
        EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nil, encryptionKey, iv) == 1 && setUp(mac)
    }

    private var encryptionKey: UnsafePointer<UInt8> {
        UnsafeRawPointer(bytes + Self.nameSize).assumingMemoryBound(to: UInt8.self)
    }

    private func setUp(_ mac: OpaquePointer) -> Bool {
        let key = bytes + Self.nameSize + Self.keySize
        return withUnsafeTemporaryAllocation(of: OSSL_PARAM.self, capacity: 3) { parameters in
            parameters[0] = OSSL_PARAM_construct_octet_string(COpenSSL_MAC_PARAM_KEY(), key, Self.keySize)
            parameters[1] = OSSL_PARAM_construct_utf8_string(COpenSSL_MAC_PARAM_DIGEST(), COpenSSL_SHA256_name(), 0)
            parameters[2] = OSSL_PARAM_construct_end()
            return EVP_MAC_CTX_set_params(mac, parameters.baseAddress) == 1
        }
    }
}
