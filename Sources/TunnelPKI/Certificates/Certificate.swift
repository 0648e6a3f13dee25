internal import COpenSSL

/// One X.509 certificate (RFC 5280), read once into plain values.
///
/// Reading does not judge: an expired or weak certificate is a certificate. `CertificateRequirements` judges.
public final class Certificate: Sendable {
    // SAFETY: OpenSSL counts references to X509 atomically and locks the cache that its getters fill; nothing else
    // changes this one after init.
    package nonisolated(unsafe) let pointer: OpaquePointer

    /// The certificate as it was signed.
    public let der: [UInt8]
    /// SHA-256 of `der` in 64 lowercase hexadecimal digits: the identity the Tunnels API knows a certificate by.
    public let fingerprint: String
    /// The subject's name after RFC 2253, for example `CN=mcp-tunnel-ca`; empty for an empty name.
    public let subject: String
    /// The issuer's name after RFC 2253.
    public let issuer: String
    /// Start of validity, in seconds since 1970-01-01 00:00 UTC.
    public let notBefore: Int64
    /// Last second of validity, in seconds since 1970-01-01 00:00 UTC.
    public let notAfter: Int64
    /// Kind and size of the subject's key.
    public let keyAlgorithm: KeyAlgorithm
    /// Name of the digest that the signature is made over, as OpenSSL spells it (`SHA256`); `nil` where the signature
    /// algorithm is unknown or has no digest of its own, as Ed25519.
    public let signatureDigest: String?
    /// The extensions that matter to a tunnel.
    public let extensions: CertificateExtensions
    let serial: SerialNumber
    /// Of X.509: 3 where there are extensions.
    let version: Int
    /// The dates that are not written as RFC 5280 §4.1.2.5 wants them: `notBefore`, `notAfter`.
    let oddDates: [String]

    /// The serial number in lowercase hexadecimal, two digits a byte, with a leading `-` if it is negative.
    public var serialNumber: String { serial.description }
    /// DNS names among the subject alternative names, in order, as written.
    public var dnsNames: [String] { extensions.subjectAlternativeNames.compactMap(\.dnsName) }
    /// The certificate in PEM, one block, ended by a line feed.
    public var pem: [UInt8] { PEMDocument.encode(label: "CERTIFICATE", contents: der) }

    /// Reads one certificate in DER.
    ///
    /// - Throws: `.malformed` for anything but exactly one certificate, `.tooLarge` above 64 KiB.
    public init(der: [UInt8]) throws(PKIError) {
        guard der.count <= PEMDocument.maxBytes else {
            throw PKIError(.tooLarge, "\(der.count) bytes are no certificate")
        }
        ERR_clear_error()
        // Getters of absent or broken extensions leave entries behind even where that is no error for us.
        defer { ERR_clear_error() }
        let reader = try CertificateReader(der)
        self.der = der
        self.fingerprint = hexadecimal(try der.withDigest(EVP_sha256()))
        self.subject = reader.subject
        self.issuer = reader.issuer
        (self.notBefore, self.notAfter) = try reader.validity()
        (self.serial, self.version, self.oddDates) = (reader.serial, reader.version, reader.oddDates)
        self.keyAlgorithm = reader.keyAlgorithm
        self.signatureDigest = reader.signatureDigest
        self.extensions = reader.extensions
        self.pointer = reader.release()
    }

    deinit { X509_free(pointer) }

    /// Reads a PEM file that holds exactly one certificate and nothing else in blocks.
    ///
    /// - Throws: `.missing`, `.several`, `.malformed`, `.tooLarge`.
    public convenience init(pem file: [UInt8]) throws(PKIError) {
        guard !isDER(file) else {
            throw PKIError(
                .missing, "the file is DER, not PEM (`openssl x509 -inform DER -in FILE -out PEM` converts it)")
        }
        var document = try PEMDocument(file)
        defer { document.wipe() }
        guard let block = document.blocks.first else { throw PKIError(.missing, "no certificate in the file") }
        guard document.blocks.count == 1 else {
            throw PKIError(.several, "\(document.blocks.count) blocks in one file; expected one certificate")
        }
        guard block.isCertificate else {
            throw PKIError(.missing, "the file holds a \(block.label), not a certificate")
        }
        try self.init(der: document.certificateBlocks()[0].contents)
    }

    /// Reads all certificates of a PEM file, in order; blocks of other kinds are passed over.
    ///
    /// - Throws: `.missing` if there is none, `.malformed`, `.tooLarge`.
    public static func all(pem file: [UInt8]) throws(PKIError) -> [Certificate] {
        var document = try PEMDocument(file)
        defer { document.wipe() }
        var certificates: [Certificate] = []
        for block in try document.certificateBlocks() { certificates.append(try Certificate(der: block.contents)) }
        return certificates
    }

    /// The same for a file that may also be one certificate in DER.
    package static func all(file: [UInt8]) throws(PKIError) -> [Certificate] {
        isDER(file) ? [try Certificate(der: file)] : try all(pem: file)
    }

    /// Lends an `X509 *` for each certificate of a bundle of anchors, in PEM or one in DER: a system has hundreds of them,
    /// and nobody asks them for their names.
    ///
    /// - Throws: as `all(pem:)`, or what `body` throws.
    package static func forEach(
        inBundle file: [UInt8], _ body: (OpaquePointer) throws(PKIError) -> Void
    ) throws(PKIError) {
        guard !isDER(file) else {
            try CertificateReader(file).lend(to: body)
            return
        }
        let document = try PEMDocument(file, maxBytes: PEMDocument.maxBundleBytes)
        for block in try document.certificateBlocks() { try CertificateReader(block.contents).lend(to: body) }
    }

    /// The fingerprint of an `X509 *` that stays the caller's; empty without memory.
    package static func fingerprint(of pointer: OpaquePointer) -> String {
        let bytes = [UInt8](unsafeUninitializedCapacity: Int(EVP_MAX_MD_SIZE)) { room, initialized in
            var count: UInt32 = 0
            let succeeded = X509_digest(pointer, EVP_sha256(), room.baseAddress, &count) == 1
            initialized = succeeded ? Int(count) : 0
        }
        return hexadecimal(bytes)
    }

    /// The DER of an `X509 *` that stays the caller's; empty without memory.
    package static func der(of pointer: OpaquePointer) -> [UInt8] {
        (try? encodeDER("cannot encode a certificate") { i2d_X509(pointer, $0) }) ?? []
    }

    /// The SHA-256 of the subject's public key in DER, as `curl --pinnedpubkey` takes it: `sha256//` and base64.
    package func publicKeyPin() throws(PKIError) -> String {
        guard let key = X509_get_X509_PUBKEY(pointer) else { throw .fromQueue("cannot read the public key") }
        var digest = try encodeDER("cannot encode the public key") { i2d_X509_PUBKEY(key, $0) }.sha256()
        var text = [UInt8](repeating: 0, count: 64)
        let count = EVP_EncodeBlock(&text, &digest, Int32(digest.count))
        return "sha256//" + String(decoding: text.prefix(Int(count)), as: UTF8.self)
    }

    /// Whether `key` is the private half of this certificate's key.
    public func matches(_ key: PrivateKey) -> Bool {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let own = X509_get0_pubkey(pointer) else { return false }
        return EVP_PKEY_eq(own, key.pointer) == 1
    }

    /// Whether the signature was made by the key of `ca`. Says nothing about names, dates or usage.
    public func isSigned(by ca: Certificate) -> Bool {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let key = X509_get0_pubkey(ca.pointer) else { return false }
        return X509_verify(pointer, key) == 1
    }

    /// Whether the issuer's name is the subject's name of `ca`, compared as RFC 5280 §7.1 says.
    public func isIssuedInName(of ca: Certificate) -> Bool {
        X509_NAME_cmp(X509_get_issuer_name(pointer), X509_get_subject_name(ca.pointer)) == 0
    }

    /// Whether the issuer's name is the subject's name of `ca` byte for byte, as those compare names who know nothing of
    /// letter case and kinds of strings.
    func isIssuedInExactName(of ca: Certificate) -> Bool {
        Self.bytes(of: X509_get_issuer_name(pointer)) == Self.bytes(of: X509_get_subject_name(ca.pointer))
    }

    private static func bytes(of name: OpaquePointer?) -> [UInt8] {
        var (start, count): (UnsafePointer<UInt8>?, Int) = (nil, 0)
        guard X509_NAME_get0_der(name, &start, &count) == 1 else { return [] }
        // SAFETY: `start` points at `count` bytes of the name, which its certificate keeps; they are copied here.
        return Array(UnsafeBufferPointer(start: start, count: count))
    }

    /// What AuthorityKeyIdentifier has in it that is not so of `ca`.
    enum AuthorityMismatch { case keyIdentifier, issuerAndSerial }

    /// - Returns: `nil` where each field that is there fits, also where none is.
    func authorityMismatch(with ca: Certificate) -> AuthorityMismatch? {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let found = X509_get_ext_d2i(pointer, NID_authority_key_identifier, nil, nil) else { return nil }
        // SAFETY: for this NID the result is an AUTHORITY_KEYID that is now ours.
        let identifier = found.assumingMemoryBound(to: AUTHORITY_KEYID.self)
        defer { AUTHORITY_KEYID_free(identifier) }
        switch X509_check_akid(ca.pointer, identifier) {
        case X509_V_OK: return nil
        case X509_V_ERR_AKID_SKID_MISMATCH: return .keyIdentifier
        default: return .issuerAndSerial
        }
    }
}

extension PEMDocument {
    /// The blocks that are certificates, of which there is at least one.
    fileprivate func certificateBlocks() throws(PKIError) -> [Block] {
        let found = blocks.filter(\.isCertificate)
        guard !found.isEmpty else {
            let labels = blocks.map(\.label).joined(separator: ", ")
            throw PKIError(.missing, "no CERTIFICATE in the file" + (labels.isEmpty ? "" : "; it holds \(labels)"))
        }
        guard !found.contains(where: \.hasHeaders) else {
            throw PKIError(.malformed, "a CERTIFICATE block has headers, for which other readers skip it")
        }
        return found
    }
}

extension Certificate: Hashable, CustomStringConvertible {
    public static func == (a: Certificate, b: Certificate) -> Bool { a.der == b.der }
    public func hash(into hasher: inout Hasher) { hasher.combine(der) }
    public var description: String { "\(subject.isEmpty ? "certificate" : subject) (SHA-256 \(fingerprint))" }
}

/// A serial number as its sign and its big-endian bytes, without leading zeros.
struct SerialNumber: Sendable, CustomStringConvertible {
    let isNegative: Bool
    let bytes: [UInt8]
    var description: String { (isNegative ? "-" : "") + (bytes.isEmpty ? "00" : hexadecimal(bytes)) }
}

extension Certificate {
    /// Why this CA's NameConstraints (RFC 5280 §4.2.1.10) forbid a name of `leaf`; `nil` if they do not, or if
    /// there are none.
    func constraintViolation(of leaf: Certificate) -> String? {
        ERR_clear_error()
        defer { ERR_clear_error() }
        guard let found = X509_get_ext_d2i(pointer, NID_name_constraints, nil, nil) else { return nil }
        // SAFETY: for this NID the result is a NAME_CONSTRAINTS that is now ours.
        let constraints = found.assumingMemoryBound(to: NAME_CONSTRAINTS.self)
        defer { NAME_CONSTRAINTS_free(constraints) }
        let result = NAME_CONSTRAINTS_check(leaf.pointer, constraints)
        guard result != X509_V_OK else { return nil }
        return X509_verify_cert_error_string(Int(result)).map { String(cString: $0) } ?? "error \(result)"
    }
}
