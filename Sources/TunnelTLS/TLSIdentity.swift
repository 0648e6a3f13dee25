package import TunnelPKI

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

    /// SHA-256 over the chain as it is sent. It names the leaf's key and who signed it: another key, another CA and a
    /// renewal by the same CA all give another one.
    let chainDigest: [UInt8]

    /// The certificate itself, for whoever holds it against requirements.
    package var leaf: Certificate { chain[0] }
    /// The last certificate behind the leaf, which is nearest to the root; `nil` where the leaf stands alone.
    package var lastIssuer: Certificate? { chain.count > 1 ? chain.last : nil }

    /// Reads and checks a pair. Pure: no file is touched, and validity is not held against any clock.
    ///
    /// The reader is the one that `setup verify` uses, so a file that it finds well formed is one that is taken here.
    ///
    /// - Parameter certificates: PEM with the leaf first, or one certificate in DER. Other PEM blocks are passed over,
    ///   so one file may hold both halves.
    /// - Parameter privateKey: one key in PEM or DER: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    /// - Throws: which half is at fault, or that the two do not belong together.
    public init(certificates: [UInt8], privateKey: [UInt8]) throws(TLSIdentityError) {
        let chain = try Self.chain(certificates)
        let key = try Self.key(privateKey)
        let leaf = chain[0]
        guard leaf.matches(key) else {
            let place = chain.firstIndex { $0.matches(key) }.map { $0 + 1 }
            throw TLSIdentityError(
                .mismatch,
                place.map { "the key is that of certificate \($0) in the file, and the server's has to stand first" }
                    ?? "the key is \(key.algorithm), the certificate's \(leaf.keyAlgorithm), and they are no pair")
        }
        self.chain = chain
        self.key = key
        chainDigest = try Self.digest(of: chain)
        fingerprint = leaf.fingerprint
        subject = leaf.subject
        dnsNames = leaf.dnsNames
        notBefore = leaf.notBefore
        notAfter = leaf.notAfter
        keyType =
            switch key.algorithm {
            case .rsa: "RSA"
            case .ecdsa(let curve): curve
            case .other(let name): name
            }
        keyBits = key.bits
    }

    /// The same for bytes that lie elsewhere.
    public convenience init(certificates: Span<UInt8>, privateKey: Span<UInt8>) throws(TLSIdentityError) {
        var key = privateKey.withUnsafeBytes { Array($0) }
        defer { key.wipe() }
        try self.init(certificates: certificates.withUnsafeBytes { Array($0) }, privateKey: key)
    }

    private static func chain(_ file: [UInt8]) throws(TLSIdentityError) -> [Certificate] {
        let chain: [Certificate]
        do throws(PKIError) { chain = try Certificate.all(file: file) } catch {
            throw TLSIdentityError(error.code == .missing ? .noCertificate : .malformedCertificate, error.reason)
        }
        guard chain.count <= maxChainLength else {
            throw TLSIdentityError(.malformedCertificate, "more than \(maxChainLength) certificates")
        }
        return chain
    }

    private static func digest(of chain: [Certificate]) throws(TLSIdentityError) -> [UInt8] {
        do throws(PKIError) { return try chain.flatMap(\.der).sha256() } catch {
            throw TLSIdentityError(.malformedCertificate, error.reason)
        }
    }

    /// What sessions are bound to.
    ///
    /// - Parameter scope: a name that they are bound to besides the chain.
    func sessionContext(_ scope: String?) throws(TLSError) -> [UInt8] {
        guard let scope else { return chainDigest }
        do throws(PKIError) { return try (chainDigest + Array(scope.utf8)).sha256() } catch {
            throw TLSError(operation: "use certificate", detail: error.reason)
        }
    }

    private static func key(_ file: [UInt8]) throws(TLSIdentityError) -> PrivateKey {
        do throws(PKIError) { return try PrivateKey(file: file) } catch {
            switch error.code {
            case .missing: throw TLSIdentityError(.noPrivateKey, error.reason)
            case .encryptedKey: throw TLSIdentityError(.encryptedPrivateKey, error.reason)
            default: throw TLSIdentityError(.malformedPrivateKey, error.reason)
            }
        }
    }
}

/// Why a certificate and its key cannot be used. `code` says which half is at fault, `reason` is for people.
public struct TLSIdentityError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong, in a few words. More codes may come in later versions.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }
        public var description: String { rawValue }

        public static let noCertificate = Code(rawValue: "no certificate")
        public static let malformedCertificate = Code(rawValue: "malformed certificate")
        public static let noPrivateKey = Code(rawValue: "no private key")
        /// Also more than one, or one that nobody can use in TLS.
        public static let malformedPrivateKey = Code(rawValue: "malformed private key")
        public static let encryptedPrivateKey = Code(rawValue: "encrypted private key")
        public static let mismatch = Code(rawValue: "certificate and private key do not belong together")
    }
    public let code: Code
    /// Never holds a byte of the key.
    public let reason: String

    init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    public var description: String { "\(code.rawValue): \(reason)" }

    /// Tests and callers compare what is wrong, not prose.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code }
}
