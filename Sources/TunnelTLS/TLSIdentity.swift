internal import COpenSSL

/// What a server proves itself with: a certificate chain and the private key of its first certificate.
///
/// If a value exists, both halves were read and belong together. Immutable, so every loop may share it.
public final class TLSIdentity: Sendable {
    /// Longest chain accepted, the leaf included. Each certificate is sent in every full handshake.
    public static let maxChainLength = 16

    /// SHA-256 of the leaf's DER form, in 64 lower-case hexadecimal digits.
    public let fingerprint: String
    /// The leaf's subject on one line (RFC 4514).
    public let subject: String
    /// The leaf's dNSName entries, in order.
    public let dnsNames: [String]
    /// Start of the leaf's validity, in seconds since 1970.
    public let notBefore: Int64
    /// End of the leaf's validity, in seconds since 1970.
    public let notAfter: Int64
    /// `RSA`, `P-256`, `P-384`, `P-521` or `ED25519`.
    public let keyType: String
    /// Size of the key in bits.
    public let keyBits: Int
    /// Whether a signature takes long enough to hold up an event loop. P-256 and Ed25519 take 25 to 50 µs, RSA-2048 half a
    /// millisecond, RSA-4096 five.
    public var isSigningExpensive: Bool { keyType != "P-256" && keyType != "ED25519" }

    /// The leaf first, then its issuers as they stood in the file.
    let chain: [Certificate]
    let key: PrivateKey

    /// Reads and checks a pair. Pure: no file is touched, and validity is not held against any clock.
    ///
    /// - Parameter certificates: PEM with the leaf first, or one certificate in DER. Other PEM blocks are passed over,
    ///   so one file may hold both halves.
    /// - Parameter privateKey: PEM or DER: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    /// - Throws: which half is at fault, or that the two do not belong together.
    public init(certificates: Span<UInt8>, privateKey: Span<UInt8>) throws(TLSIdentityError) {
        let chain = try certificates.withUnsafeBytes { bytes throws(TLSIdentityError) in try Self.chain(bytes) }
        let key = try privateKey.withUnsafeBytes { bytes throws(TLSIdentityError) in try Self.key(bytes) }
        let leaf = chain[0]
        ERR_clear_error()
        guard X509_check_private_key(leaf.pointer, key.pointer) == 1 else {
            throw TLSIdentityError(.mismatch, TLSError.fromQueue("check").detail)
        }
        self.chain = chain
        self.key = key
        fingerprint = leaf.fingerprint
        subject = leaf.subject
        dnsNames = leaf.dnsNames
        notBefore = leaf.notBefore
        notAfter = leaf.notAfter
        keyType = key.type
        keyBits = key.bits
    }

    /// The same for whole arrays, as files are read.
    public convenience init(certificates: [UInt8], privateKey: [UInt8]) throws(TLSIdentityError) {
        try self.init(certificates: certificates.span, privateKey: privateKey.span)
    }

    private static func chain(_ bytes: UnsafeRawBufferPointer) throws(TLSIdentityError) -> [Certificate] {
        let chain: [Certificate]
        do {
            chain = try PEMReader(bytes).certificates()
        } catch {
            switch error {
            case .none: throw TLSIdentityError(.noCertificate, "no CERTIFICATE block in \(bytes.count) bytes")
            case .encrypted: throw TLSIdentityError(.malformedCertificate, "the block is encrypted")
            case .malformed(let reason): throw TLSIdentityError(.malformedCertificate, reason)
            }
        }
        guard chain.count <= maxChainLength else {
            throw TLSIdentityError(.malformedCertificate, "more than \(maxChainLength) certificates")
        }
        return chain
    }

    private static func key(_ bytes: UnsafeRawBufferPointer) throws(TLSIdentityError) -> PrivateKey {
        do {
            return try PEMReader(bytes).privateKey()
        } catch {
            switch error {
            case .none: throw TLSIdentityError(.noPrivateKey, "no PRIVATE KEY block in \(bytes.count) bytes")
            case .encrypted:
                throw TLSIdentityError(.encryptedPrivateKey, "a key with a password cannot be used unattended")
            case .malformed(let reason): throw TLSIdentityError(.malformedPrivateKey, reason)
            }
        }
    }
}
