internal import COpenSSL

/// An RSA or ECDSA private key.
///
/// Immutable, so any thread may use it. It never prints itself; its bytes leave through `pem` and `der` only.
public final class PrivateKey: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    // SAFETY: OpenSSL counts references to EVP_PKEY atomically, and nothing changes this one after init.
    package nonisolated(unsafe) let pointer: OpaquePointer

    /// Kind and size.
    public let algorithm: KeyAlgorithm

    /// Takes over one reference to an `EVP_PKEY *`.
    init(owning pointer: OpaquePointer) {
        self.pointer = pointer
        self.algorithm = KeyAlgorithm(borrowing: pointer)
    }

    deinit { EVP_PKEY_free(pointer) }

    /// Makes a new key from the system's randomness. RSA takes a while (4096 bits: often over a second of CPU), so an
    /// event loop calls this on a helper thread.
    ///
    /// - Throws: `.library` when OpenSSL cannot, for example without randomness.
    public static func generate(_ type: KeyType) throws(PKIError) -> PrivateKey {
        switch type {
        case .rsa2048: try generate(rsaBits: 2048)
        case .rsa3072: try generate(rsaBits: 3072)
        case .rsa4096: try generate(rsaBits: 4096)
        case .ecdsaP256: try generate(curve: NID_X9_62_prime256v1)
        case .ecdsaP384: try generate(curve: NID_secp384r1)
        }
    }

    /// The key in PKCS#8 and PEM, as OpenSSL and Go read it. Wipe or drop the array when it is written.
    public var pem: [UInt8] {
        get throws(PKIError) {
            var der = try self.der
            defer { der.wipe() }
            return PEMDocument.encode(label: "PRIVATE KEY", contents: der)
        }
    }

    /// The key in PKCS#8 (RFC 5208), DER.
    public var der: [UInt8] {
        get throws(PKIError) {
            ERR_clear_error()
            guard let info = EVP_PKEY2PKCS8(pointer) else { throw .fromQueue("cannot encode the private key") }
            defer { PKCS8_PRIV_KEY_INFO_free(info) }
            return try encodeDER("cannot encode the private key") { i2d_PKCS8_PRIV_KEY_INFO(info, $0) }
        }
    }

    /// The size that people quote: modulus or field, in bits.
    package var bits: Int { Int(EVP_PKEY_get_bits(pointer)) }

    public var description: String { "<private key, \(algorithm)>" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension PrivateKey {
    /// Any size, also the weak ones that tests need.
    package static func generate(rsaBits bits: Int32) throws(PKIError) -> PrivateKey {
        try generate(EVP_PKEY_RSA) { EVP_PKEY_CTX_set_rsa_keygen_bits($0, bits) }
    }

    /// - Parameter curve: OpenSSL's number of a named curve.
    package static func generate(curve: Int32) throws(PKIError) -> PrivateKey {
        try generate(EVP_PKEY_EC) { EVP_PKEY_CTX_set_ec_paramgen_curve_nid($0, curve) }
    }

    private static func generate(
        _ algorithm: Int32, configure: (OpaquePointer) -> Int32
    ) throws(PKIError) -> PrivateKey {
        ERR_clear_error()
        guard let context = EVP_PKEY_CTX_new_id(algorithm, nil) else { throw .fromQueue("cannot make a key") }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        guard EVP_PKEY_keygen_init(context) == 1, configure(context) == 1, EVP_PKEY_keygen(context, &key) == 1, let key
        else { throw .fromQueue("cannot make a key") }
        return PrivateKey(owning: key)
    }

    /// SHA-1 of the public key's bits: the key identifier of RFC 5280 §4.2.1.2 (1). A name for the key, not a
    /// protection of it, so SHA-1 is no weakness here.
    package var keyIdentifier: [UInt8] {
        get throws(PKIError) {
            ERR_clear_error()
            var publicKey: OpaquePointer?
            guard X509_PUBKEY_set(&publicKey, pointer) == 1, let publicKey else {
                throw .fromQueue("cannot encode the public key")
            }
            defer { X509_PUBKEY_free(publicKey) }
            var bits: UnsafePointer<UInt8>?
            var count: Int32 = 0
            guard X509_PUBKEY_get0_param(nil, &bits, &count, nil, publicKey) == 1, let bits, count > 0 else {
                throw .fromQueue("cannot encode the public key")
            }
            // SAFETY: `bits` points at `count` bytes inside `publicKey`, which lives until the defer above.
            return try digest(UnsafeBufferPointer(start: bits, count: Int(count)), EVP_sha1())
        }
    }
}

extension PrivateKey {
    /// Reads the one private key of a PEM file: PKCS#8, PKCS#1 or SEC1. Blocks of other kinds, such as the
    /// `EC PARAMETERS` that `openssl ecparam` writes or a certificate, are passed over.
    ///
    /// - Throws: `.encryptedKey` for a key with a passphrase, `.missing`, `.several`, `.unsupportedKey` for what is
    ///   neither RSA nor ECDSA, `.malformed`, `.tooLarge`.
    public convenience init(pem file: [UInt8]) throws(PKIError) {
        var der = try Self.onlyKey(in: file)
        defer { der.wipe() }
        try self.init(der: der)
    }

    /// Reads one private key in DER: PKCS#8, PKCS#1 or SEC1.
    ///
    /// - Throws: as `init(pem:)`.
    public convenience init(der: [UInt8]) throws(PKIError) {
        let pointer = try Self.load(der)
        switch EVP_PKEY_get_base_id(pointer) {
        case EVP_PKEY_RSA, EVP_PKEY_EC: self.init(owning: pointer)
        default:
            let name = KeyAlgorithm(borrowing: pointer)
            EVP_PKEY_free(pointer)
            throw PKIError(.unsupportedKey, "a key of type \(name); RSA and ECDSA are supported")
        }
    }

    /// Reads the one private key of a file in PEM, or a file that is one in DER, whatever its algorithm: for a server,
    /// which can use keys that this library does not make.
    ///
    /// - Throws: as `init(pem:)`.
    package convenience init(file: [UInt8]) throws(PKIError) {
        guard !isDER(file) else {
            self.init(owning: try Self.load(file))
            return
        }
        var der = try Self.onlyKey(in: file)
        defer { der.wipe() }
        self.init(owning: try Self.load(der))
    }

    /// The contents of the one block that holds a key.
    private static func onlyKey(in file: [UInt8]) throws(PKIError) -> [UInt8] {
        guard !isDER(file) else {
            throw PKIError(
                .missing, "the file is DER, not PEM (`openssl pkey -inform DER -in FILE -out PEM` converts it)")
        }
        var document = try PEMDocument(file)
        defer { document.wipe() }
        // By index: a second reference to a block would keep its bytes from being wiped.
        let keys = document.blocks.indices.filter { document.blocks[$0].isPrivateKey }
        guard let key = keys.first else {
            let labels = document.blocks.map(\.label).joined(separator: ", ")
            throw PKIError(.missing, "no private key in the file" + (labels.isEmpty ? "" : "; it holds \(labels)"))
        }
        guard keys.count == 1 else { throw PKIError(.several, "\(keys.count) private keys in one file") }
        guard !document.blocks[key].isEncrypted, document.blocks[key].label != "ENCRYPTED PRIVATE KEY" else {
            throw .encrypted
        }
        guard document.blocks[key].label != "OPENSSH PRIVATE KEY" else {
            throw PKIError(.unsupportedKey, "an OpenSSH key; convert it with `ssh-keygen -p -m PKCS8 -f FILE`")
        }
        return document.blocks[key].contents.withUnsafeBufferPointer { Array($0) }
    }

    private static func load(_ der: [UInt8]) throws(PKIError) -> OpaquePointer {
        guard der.count <= PEMDocument.maxBytes else { throw PKIError(.tooLarge, "\(der.count) bytes are no key") }
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let pointer = try decode(der) else {
            throw isEncrypted(der) ? .encrypted : .fromQueue("not a private key", code: .malformed)
        }
        return pointer
    }

    /// +1 `EVP_PKEY *`, or `nil` if the bytes are no key that OpenSSL knows. Trailing bytes are an error.
    private static func decode(_ der: [UInt8]) throws(PKIError) -> OpaquePointer? {
        let (pointer, isWhole) = der.withUnsafeBufferPointer { bytes in
            var cursor = bytes.baseAddress
            let pointer = d2i_AutoPrivateKey(nil, &cursor, bytes.count)
            return (pointer, cursor == bytes.baseAddress.map { $0 + bytes.count })
        }
        guard let pointer else { return nil }
        guard isWhole else {
            EVP_PKEY_free(pointer)
            throw PKIError(.malformed, "bytes follow the private key")
        }
        return pointer
    }

    /// EncryptedPrivateKeyInfo (RFC 5208 §6) is what OpenSSL calls an `X509_SIG`.
    private static func isEncrypted(_ der: [UInt8]) -> Bool {
        der.withUnsafeBufferPointer { bytes in
            var cursor = bytes.baseAddress
            guard let envelope = d2i_X509_SIG(nil, &cursor, bytes.count) else { return false }
            X509_SIG_free(envelope)
            return true
        }
    }
}

extension PKIError {
    static var encrypted: PKIError {
        PKIError(
            .encryptedKey,
            "the private key is encrypted with a passphrase; decrypt it with `openssl pkey -in FILE -out PLAIN`")
    }
}
