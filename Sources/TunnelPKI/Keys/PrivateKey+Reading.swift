internal import COpenSSL

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
        var document = try PEMDocument(file)
        defer { document.wipe() }
        let keys = document.blocks.filter(\.isPrivateKey)
        guard let key = keys.first else {
            let labels = document.blocks.map(\.label).joined(separator: ", ")
            throw PKIError(.missing, "no private key in the file" + (labels.isEmpty ? "" : "; it holds \(labels)"))
        }
        guard keys.count == 1 else { throw PKIError(.several, "\(keys.count) private keys in one file") }
        guard !key.isEncrypted, key.label != "ENCRYPTED PRIVATE KEY" else { throw .encrypted }
        guard key.label != "OPENSSH PRIVATE KEY" else {
            throw PKIError(.unsupportedKey, "an OpenSSH key; convert it with `ssh-keygen -p -m PKCS8 -f FILE`")
        }
        // The bytes that the wiping above will not reach, because they are shared with the caller's copy.
        return key.contents.withUnsafeBufferPointer { Array($0) }
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
